"""MelodyRNN's architecture (Waite 2016) with the inputs and the heads of our events.

Two LSTM layers of 128 units; the first one attends to its last 40 outputs as TensorFlow's
AttentionCellWrapper does (after Bahdanau, Cho and Bengio 2015): what was attended to joins the next input
through a linear layer, and the output is a projection of the cell's output and what is attended to. Dropout
follows each layer. It is told what MelodyRNN's encoding tells, in our tokens: the last event, the place in
bar and among the bars, meter and mode, what stood one and two bars ago and whether the melody repeats it;
pitches are relative to the tonic. Beyond that it knows the style where our network does.

The attending layer has its gradient written out: all that is not bound to the order of the steps is one large
product, which makes an epoch several times faster than step-by-step differentiation.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from segue.complete.encoding import DURATIONS, PITCH_TOKENS
from segue.complete.features import COLUMN, FEATURES, OFFSETS, SIZES

UNITS, ATTENDED = 128, 40
COLUMNS = (
    *("event_pitch", "event_duration"),
    *(f"lag{lag}_{what}" for lag in (1, 2) for what in ("pitch", "duration", "agreed")),
    *("place", "place_fine", "bar", "mode", "style"),
)
#: The state of `ReferenceStep`, without the leading axis.
STATE = {
    **dict.fromkeys(("cell", "out", "seen"), (UNITS,)),
    "memory": (ATTENDED, UNITS),
    "slot": (ATTENDED,),
    **dict.fromkeys(("second_out", "second_cell"), (UNITS,)),
}
State = tuple[Tensor, ...]


class AttendingLayer(torch.autograd.Function):
    """An LSTM layer that attends to its own last outputs, all steps of a batch.

    `given` (batch, steps, 4 * units) is what the inputs give to the gates (input, forget, new, output);
    `kept` (4 * units, 2 * units) the weights of the last output of the cell and of what was attended to;
    `key` (units, units), `query` (units, 2 * units) and its bias, `energy` (units,) the attention; `join`
    (units, 2 * units) and its bias the projection. State: cell, its output, attended to, each (batch, units),
    and the last outputs, (batch, attended, units). Gives outputs (batch, steps, units) and the state after
    the last step, which no gradient reaches.
    """

    @staticmethod
    def forward(ctx: Any, given, kept, key, query, query_bias, energy, join, join_bias, *state):  # noqa: ANN001
        """See the class."""
        batch, steps, _ = given.shape
        cell, out, seen, memory = state
        span = memory.shape[1]
        units = out.shape[1]
        outputs = given.new_empty(batch, span + steps, units)
        keys = given.new_empty(batch, span + steps, units)
        outputs[:, :span] = memory
        keys[:, :span] = memory @ key.T
        # What enters a step, its gates, and what leaves it; kept for the way back.
        before = given.new_empty(steps, batch, 2 * units)
        gates = given.new_empty(steps, batch, 4 * units)
        cells = given.new_empty(steps + 1, batch, units)
        after = given.new_empty(steps, batch, 2 * units)
        asked = given.new_empty(steps, batch, 2 * units)
        queries = given.new_empty(steps, batch, units)
        shares = given.new_empty(steps, batch, span)
        cells[0] = cell
        inner = given.new_empty(batch, span, units)
        given = given.transpose(0, 1)
        for t in range(steps):
            torch.cat([out, seen], 1, out=before[t])
            z = torch.addmm(given[t], before[t], kept.T, out=gates[t])
            z[:, : 2 * units].sigmoid_()
            z[:, 2 * units : 3 * units].tanh_()
            z[:, 3 * units :].sigmoid_()
            i, f, g, o = z.split(units, 1)
            cell = torch.mul(f, cells[t], out=cells[t + 1]).addcmul_(i, g)
            out = o * cell.tanh()
            torch.cat([cell, out], 1, out=asked[t])
            y = torch.addmm(query_bias, asked[t], query.T, out=queries[t])
            torch.add(keys[:, t : t + span], y[:, None], out=inner).tanh_()
            torch.softmax(inner @ energy, 1, out=shares[t])
            seen = torch.bmm(shares[t][:, None], outputs[:, t : t + span])[:, 0]
            torch.cat([out, seen], 1, out=after[t])
            joined = torch.addmm(join_bias, after[t], join.T)
            outputs[:, span + t] = joined
            keys[:, span + t] = joined @ key.T
        ctx.save_for_backward(
            *(kept, key, query, energy, join),
            *(outputs, keys, before, gates, cells, after, asked, queries, shares),
        )
        last = (cell.clone(), out, seen, outputs[:, steps:].clone())
        ctx.mark_non_differentiable(*last)
        return (outputs[:, span:].clone(), *last)

    @staticmethod
    def backward(ctx: Any, grad, *_):  # noqa: ANN001
        """Gradients of the outputs (batch, steps, units) back to the weights and what the inputs give."""
        kept, key, query, energy, join, outputs, keys, *tape = ctx.saved_tensors
        before, gates, cells, after, asked, queries, shares = tape
        steps, batch, span = shares.shape
        units = len(energy)
        d_outputs = torch.cat([grad.new_zeros(batch, span, units), grad], 1)
        d_keys = torch.zeros_like(d_outputs)
        d_joined = grad.new_empty(steps, batch, units)
        d_queries = grad.new_empty(steps, batch, units)
        d_gates = torch.empty_like(gates)
        d_energy = torch.zeros_like(energy)
        d_cell = grad.new_zeros(batch, units)
        d_before = grad.new_zeros(batch, 2 * units)
        inner = grad.new_empty(batch, span, units)
        for t in range(steps - 1, -1, -1):
            here = slice(t, t + span)
            dj = torch.addmm(d_outputs[:, span + t], d_keys[:, span + t], key, out=d_joined[t])
            d_after = torch.addmm(d_before, dj, join)
            d_out, d_seen = d_after[:, :units], d_after[:, units:]
            share = shares[t]
            d_share = torch.bmm(outputs[:, here], d_seen[..., None])[..., 0]
            d_outputs[:, here].addcmul_(share[..., None], d_seen[:, None])
            d_sum = share * (d_share - (share * d_share).sum(1, keepdim=True))
            torch.add(keys[:, here], queries[t][:, None], out=inner).tanh_()
            d_energy += d_sum.reshape(-1) @ inner.view(-1, units)
            # The gradient of tanh, (1 - inner²), times what comes back to it.
            torch.addcmul(energy, inner.square_(), energy, value=-1, out=inner)
            inner *= d_sum[..., None]
            d_keys[:, here] += inner
            dy = torch.sum(inner, 1, out=d_queries[t])
            d_asked = dy @ query
            d_cell = d_cell + d_asked[:, :units]
            d_out = d_out + d_asked[:, units:]
            i, f, g, o = gates[t].split(units, 1)
            bent = cells[t + 1].tanh()
            d_cell = d_cell + d_out * o * (1 - bent * bent)
            dz = d_gates[t]
            dz[:, :units] = d_cell * g * i * (1 - i)
            dz[:, units : 2 * units] = d_cell * cells[t] * f * (1 - f)
            dz[:, 2 * units : 3 * units] = d_cell * i * (1 - g * g)
            dz[:, 3 * units :] = d_out * bent * o * (1 - o)
            d_cell = d_cell * f
            d_before = dz @ kept

        def of_weights(d: Tensor, x: Tensor) -> Tensor:
            return d.flatten(0, 1).T @ x.flatten(0, 1)

        return (
            d_gates.transpose(0, 1),
            of_weights(d_gates, before),
            of_weights(d_keys, outputs),
            of_weights(d_queries, asked),
            d_queries.sum((0, 1)),
            d_energy,
            of_weights(d_joined, after),
            d_joined.sum((0, 1)),
            *(None,) * 4,
        )


class ReferenceNetwork(nn.Module):
    """The reference with the interface of `training.melody.network.MelodyNetwork`."""

    def __init__(self, size: int = 128, rank: int = 64, dropout: float = 0.5) -> None:
        super().__init__()
        k = UNITS
        sizes = dict(zip(FEATURES, SIZES, strict=True))
        self.columns = [COLUMN[name] for name in COLUMNS]
        offsets, total = [], 0
        for name in COLUMNS:
            offsets.append(total - OFFSETS[name])
            total += sizes[name]
        self.width = total
        self.register_buffer("offsets", torch.tensor(offsets), persistent=False)
        self.embed = nn.Parameter(torch.randn(total, size) * 0.5)
        # Linear layers of [input, attended to]: the input's part is the embedding.
        self.attended_input = nn.Linear(k, size)
        self.cell_given = nn.Linear(size, 4 * k)
        self.cell_kept = nn.Linear(k, 4 * k, bias=False)
        self.key = nn.Linear(k, k, bias=False)
        self.query = nn.Linear(2 * k, k)
        self.energy = nn.Parameter(torch.randn(k) * k**-0.5)
        self.join = nn.Linear(2 * k, k)
        self.second = nn.LSTM(k, k, batch_first=True)
        self.pitch = nn.Linear(k, PITCH_TOKENS)
        self.duration_context = nn.Linear(k, rank)
        self.duration_pitch = nn.Parameter(torch.randn(PITCH_TOKENS, rank) * 0.05)
        self.duration = nn.Linear(rank, len(DURATIONS))
        self.end = nn.Linear(k, 1)
        self.dropout = nn.Dropout(dropout)
        self._begin()

    @torch.no_grad()
    def _begin(self) -> None:
        """Weights to begin with: large enough for a signal to pass two layers and their gates, without which
        the network learns no more than how frequent notes are for hundreds of steps.
        """
        kept = (self.cell_kept.weight, self.second.weight_hh_l0)
        for weight in (self.cell_given.weight, self.second.weight_ih_l0, *kept):
            for gate in weight.chunk(4):
                nn.init.xavier_uniform_(gate, gain=2.0)
        nn.init.xavier_uniform_(self.pitch.weight, gain=2.0)
        # The first layer begins as a plain one.
        self.join.weight[:, :UNITS] = torch.eye(UNITS)
        self.join.weight[:, UNITS:] *= 0.1
        for bias in (self.cell_given.bias, self.second.bias_ih_l0):
            # As in TensorFlow, both cells begin by remembering.
            bias[UNITS : 2 * UNITS] = 1.0
        self.second.bias_hh_l0.zero_()

    def first_state(self, batch: int) -> State:
        """Zeros: cell, output, what is attended to, memory of the first layer; output, cell of the second."""
        zeros = self.embed.new_zeros(batch, UNITS)
        memory = self.embed.new_zeros(batch, ATTENDED, UNITS)
        return zeros, zeros, zeros, memory, zeros, zeros

    def _recurrent(self) -> Tensor:
        """Weights from the cell's output and what was attended to, to the gates."""
        return torch.cat([self.cell_kept.weight, self.cell_given.weight @ self.attended_input.weight], 1)

    def encode(self, rows: Tensor, ahead: None = None, state: State | None = None) -> tuple[Tensor, State]:
        """Context of each row (batch, steps, units) and the last state, from rows of feature indices.

        It goes one way: nothing `ahead` is known.
        """
        batch, steps, _ = rows.shape
        # Rows that pad a batch hold zeros, which is no index of most features.
        chosen = (rows[..., self.columns] + self.offsets).clamp(min=0)
        x = functional.embedding_bag(chosen.flatten(0, 1), self.embed, mode="sum")
        x = (x + self.attended_input.bias).view(batch, steps, -1)
        state = self.first_state(batch) if state is None else state
        outputs, *first = AttendingLayer.apply(
            self.cell_given(x),
            self._recurrent(),
            *(self.key.weight, self.query.weight, self.query.bias),
            *(self.energy, self.join.weight, self.join.bias),
            *state[:4],
        )
        given = tuple(s[None].contiguous() for s in state[4:])
        context, second = self.second(self.dropout(outputs), given)
        return self.dropout(context), (*first, *(s[0] for s in second))

    def heads(self, context: Tensor, pitch: Tensor) -> tuple[Tensor, ...]:
        """Logits of pitch, of duration given the `pitch` tokens, and of the end; leading axes as given."""
        inner = torch.relu(self.duration_context(context) + self.duration_pitch[pitch])
        return self.pitch(context), self.duration(inner), self.end(context)[..., 0]


class ReferenceStep(nn.Module):
    """The reference as it is shipped: one event a call, for any number of melodies; the state explicit.

    The memory is a set to the attention, so its slots need no order: each output takes the place of the
    oldest, and a row with one 1, of zeros alone before the first event, says where the last one stands.
    """

    def __init__(self, network: ReferenceNetwork) -> None:
        super().__init__()
        self.network = network
        self.register_buffer("first", torch.eye(ATTENDED)[:1])
        self.register_buffer("onwards", torch.eye(ATTENDED).roll(1, 1))

    def forward(
        self,
        x: Tensor,
        cell: Tensor,
        out: Tensor,
        seen: Tensor,
        memory: Tensor,
        slot: Tensor,
        second_out: Tensor,
        second_cell: Tensor,
    ) -> tuple[Tensor, ...]:
        """`x` (N, width) multi-hot of `COLUMNS`, then the state (see `STATE`): cell and output of the first
        layer, what it saw, its memory and the slot written last, output and cell of the second. Gives logits
        of pitch (N, P), of duration for each pitch (N, P, D), of an end (N, 1), and the next state.
        """
        n = self.network
        given = x @ n.embed + n.attended_input(seen)
        cell, out = _lstm_step(
            (given, n.cell_given.weight, n.cell_given.bias),
            (out, n.cell_kept.weight, torch.zeros_like(n.cell_given.bias)),
            cell,
        )
        asked = n.query(torch.cat([cell, out], 1))
        share = torch.softmax((torch.tanh(n.key(memory) + asked[:, None]) * n.energy).sum(2), 1)
        seen = (share[:, :, None] * memory).sum(1)
        joined = n.join(torch.cat([out, seen], 1))
        slot = slot @ self.onwards + (1 - slot.sum(1, keepdim=True)) * self.first
        memory = memory + slot[:, :, None] * (joined[:, None] - memory)
        second = n.second
        second_cell, second_out = _lstm_step(
            (joined, second.weight_ih_l0, second.bias_ih_l0),
            (second_out, second.weight_hh_l0, second.bias_hh_l0),
            second_cell,
        )
        inner = torch.relu(n.duration_context(second_out)[:, None] + n.duration_pitch)
        answers = n.pitch(second_out), n.duration(inner), n.end(second_out)
        return *answers, cell, out, seen, memory, slot, second_out, second_cell


def _lstm_step(given: tuple[Tensor, ...], kept: tuple[Tensor, ...], cell: Tensor) -> tuple[Tensor, Tensor]:
    """The next cell and output (N, units) from pairs of a value, its weights and bias.

    A product for each gate: slices of one for all could not be resized to another batch in TFLite.
    """
    parts = [
        [functional.linear(value, w, b) for w, b in zip(weight.chunk(4), bias.chunk(4), strict=True)]
        for value, weight, bias in (given, kept)
    ]
    i, f, g, o = (a + b for a, b in zip(*parts, strict=True))
    cell = torch.sigmoid(f) * cell + torch.sigmoid(i) * torch.tanh(g)
    return cell, torch.sigmoid(o) * torch.tanh(cell)
