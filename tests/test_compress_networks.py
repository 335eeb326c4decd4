"""What compression does to PyTorch networks; runs where PyTorch and pytest are."""

import pytest

torch = pytest.importorskip("torch", reason="needs the training's environment")

from training.common.compress import put_into_card  # noqa: E402
from training.common.recurrent import GruBank, written_out  # noqa: E402
from training.common.weights import apply_masks, prune, round_weights  # noqa: E402


def test_a_gru_written_out_answers_as_the_gru():
    torch.manual_seed(0)
    layers = [torch.nn.GRU(5, 7, batch_first=True, bidirectional=True) for _ in range(3)]
    inputs = [torch.randn(1, 11, 5) for _ in layers]
    with torch.no_grad():
        for own, layer, x in zip(GruBank(layers)(inputs), layers, inputs, strict=True):
            torch.testing.assert_close(own, layer(x)[0], atol=1e-6, rtol=1e-5)
        network = torch.nn.ModuleDict({"gru": layers[0]})
        copy = written_out(network)
        assert not any(isinstance(m, torch.nn.GRU) for m in copy.modules())
        assert isinstance(network["gru"], torch.nn.GRU)
        torch.testing.assert_close(copy["gru"](inputs[0])[0], layers[0](inputs[0])[0], atol=1e-6, rtol=1e-5)


def test_a_gru_of_another_kind_is_refused():
    with pytest.raises(ValueError, match="single bidirectional layers"):
        GruBank([torch.nn.GRU(5, 7, batch_first=True)])


def test_rounding_and_pruning_leave_biases_and_the_network_alone():
    torch.manual_seed(0)
    network = torch.nn.Linear(20, 30)
    before = network.weight.detach().clone()
    for form in ("fp32", "fp16", "int8"):
        coarse = round_weights(network, form)
        torch.testing.assert_close(network.weight.detach(), before, atol=0, rtol=0)
        torch.testing.assert_close(coarse.bias, network.bias, atol=0, rtol=0)
        assert torch.equal(coarse.weight, network.weight) == (form == "fp32")
    with pytest.raises(ValueError, match="weights int4 are unknown"):
        round_weights(network, "int4")
    pruned, kept = prune(network, 0.25)
    assert int((pruned.weight == 0).sum()) == 150
    smallest = network.weight.detach().abs().flatten().sort().values[149]
    assert (pruned.weight[pruned.weight != 0].abs() > smallest).all()
    with torch.no_grad():
        pruned.weight += 1
    apply_masks(pruned, kept)
    assert int((pruned.weight == 0).sum()) == 150


def test_the_section_of_a_card_is_put_in_and_replaced(tmp_path):
    card = tmp_path / "card.md"
    card.write_text("---\nname: x\n---\n\n# x\n\n## Limits\nnone\n")
    put_into_card(card, "## Compression\nfirst\n")
    assert card.read_text().endswith("## Limits\nnone\n\n## Compression\nfirst\n")
    card.write_text(card.read_text() + "\n## Tried\nthis\n")
    put_into_card(card, "## Compression\nsecond\n")
    assert card.read_text().endswith("none\n\n## Compression\nsecond\n\n## Tried\nthis\n")
