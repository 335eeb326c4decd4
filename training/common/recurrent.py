"""GRUs written out step by step, for TFLite, which has no GRU of its own.

A converter that unrolls a GRU by itself makes one small graph per direction and layer and slices every gate
out of every step. Here all cells that run at the same time (the directions of a layer, and layers of equal
shape beside each other) share one product a gate and step: a convolution of width one with a group for each
cell, whose answers lie as the next operation needs them. That is a quarter of the operations.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, linear

GATES = 3  # Reset, update, new, in the order of PyTorch's weights.


class GruBank(nn.Module):
    """Bidirectional GRU layers of equal shape, one beside the other, that answer as `layers` do."""

    def __init__(self, layers: Sequence[nn.GRU]) -> None:
        super().__init__()
        for layer in layers:
            if not (layer.bidirectional and layer.batch_first and layer.bias and layer.num_layers == 1):
                raise ValueError("only single bidirectional layers with batch_first and bias are written out")
        self.layers, self.cells = len(layers), 2 * len(layers)

        def gates(name: str) -> list[Tensor]:
            """A parameter of all cells, forward ones first, gate by gate."""
            parts = [
                getattr(layer, f"{name}_l0{end}").detach().chunk(GATES)
                for end in ("", "_reverse")
                for layer in layers
            ]
            return [torch.cat(gate) for gate in zip(*parts, strict=True)]

        for gate, (given, kept) in enumerate(zip(gates("weight_ih"), gates("weight_hh"), strict=True)):
            self.register_buffer(f"given{gate}", given[:, :, None, None].clone())
            self.register_buffer(f"kept{gate}", kept[:, :, None, None].clone())
        given, kept = gates("bias_ih"), gates("bias_hh")
        # What the new gate keeps is multiplied by the reset gate, its bias too; the others just add up.
        for gate, bias in enumerate((given[0] + kept[0], given[1] + kept[1], given[2])):
            self.register_buffer(f"given_bias{gate}", bias.clone())
        self.register_buffer("kept_bias2", kept[2].clone())

    def forward(self, inputs: Sequence[Tensor]) -> list[Tensor]:
        """Each layer's input (1, steps, features) to its output (1, steps, 2 * units)."""
        x = torch.cat([*inputs, *(x.flip(1) for x in inputs)], 2).permute(0, 2, 1)[..., None]
        steps = zip(*(self._product(x, "given", gate).split(1, 2) for gate in range(GATES)), strict=True)
        first = next(steps)
        new = torch.tanh(first[2] + torch.sigmoid(first[0]) * self.kept_bias2[:, None, None])
        state = new - torch.sigmoid(first[1]) * new
        states = [state]
        for reset, update, new in steps:
            reset = torch.sigmoid(reset + self._product(state, "kept", 0))
            update = torch.sigmoid(update + self._product(state, "kept", 1))
            new = torch.tanh(new + reset * self._product(state, "kept", 2))
            state = new + update * (state - new)
            states.append(state)
        # In the order of the steps, and for the cells that went backwards the other way round.
        forwards, backwards = (
            torch.cat(order, 2)[..., 0].permute(0, 2, 1).chunk(self.cells, 2)
            for order in (states, states[::-1])
        )
        return [torch.cat([forwards[i], backwards[self.layers + i]], 2) for i in range(self.layers)]

    def _product(self, x: Tensor, name: str, gate: int) -> Tensor:
        bias = getattr(self, f"{name}_bias{gate}", None)
        return conv2d(x, getattr(self, f"{name}{gate}"), bias, groups=self.cells)


class WrittenOutGru(nn.Module):
    """In the place of an `nn.GRU`: (batch of one, steps, features) to (output, None)."""

    def __init__(self, layer: nn.GRU) -> None:
        super().__init__()
        self.bank = GruBank([layer])

    def forward(self, x: Tensor) -> tuple[Tensor, None]:
        """The output; the last state is not told."""
        return self.bank([x])[0], None


def written_out(network: nn.Module) -> nn.Module:
    """A copy of `network` for TFLite: its own `written_out()`, or each bidirectional GRU written out."""
    if hasattr(network, "written_out"):
        return network.written_out().eval()
    network = copy.deepcopy(network)
    for module in list(network.modules()):
        for name, child in list(module.named_children()):
            if isinstance(child, nn.GRU) and child.bidirectional:
                setattr(module, name, WrittenOutGru(child))
    return network.eval()


def gru_step(layer: nn.GRU, x: Tensor, state: Tensor) -> Tensor:
    """The next state (batch, units) of a GRU of one layer and direction, from `x` (batch, features).

    A product for each gate: slices of one for all could not be resized to another batch in TFLite.
    """
    given = zip(layer.weight_ih_l0.chunk(GATES), layer.bias_ih_l0.chunk(GATES), strict=True)
    kept = zip(layer.weight_hh_l0.chunk(GATES), layer.bias_hh_l0.chunk(GATES), strict=True)
    (reset, update, new), (old_reset, old_update, old_new) = (
        [linear(value, weight, bias) for weight, bias in gates]
        for value, gates in ((x, given), (state, kept))
    )
    new = torch.tanh(new + torch.sigmoid(reset + old_reset) * old_new)
    return new + torch.sigmoid(update + old_update) * (state - new)
