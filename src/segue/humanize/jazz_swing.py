"""How jazz soloists swing their eighths, by tempo. Written by `training.swing.fit`.

Data: Weimar Jazz Database (ODbL 1.0, Jazzomat Research Project; Pfleiderer et al. 2017) as jazzodata (MIT).
Fitted to 204 solos with a swing feel, 20039 pairs of eighths; measured on
64 solos over other pieces, 4994 pairs. Only soloists were transcribed. The place is that
of the off-beat eighth between two beats of the band.

Mean absolute error of the place, as a share of the beat: of a solo's median (95 % interval), of single pairs

    straight         0.1446  (0.1280 to 0.1610)  0.1400
    constant 2:1     0.0571  (0.0472 to 0.0679)  0.1002
    constant 0.629   0.0566  (0.0473 to 0.0661)  0.0942
    by tempo         0.0416  (0.0328 to 0.0513)  0.0891

Limits: below 120 and above 310 beats a minute there are few solos, and the ends
are held. Soloists differ at one tempo by 0.046 (standard deviation), and one soloist's pairs by
0.098.
"""

#: Beats a minute, and there the place of the off-beat eighth in the beat, in [0.5, 0.75].
TEMPO_BPM = (120.0, 310.0)
OFF_BEAT = (0.690, 0.563)
