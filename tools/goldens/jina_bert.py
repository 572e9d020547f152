"""JinaBERT, which transformers doesn't have, out of its BERT: attention with linear biases as Press et al. (2022) have it, for
distances to both sides, no table of positions, and gated linear units (Shazeer, 2020) in place of the feed-forward
network. Of "JINA EMBEDDINGS 2" (Guenther et al., 2023), section 3."""

from typing import Any
from unittest import mock

import torch
from transformers.models.bert import modeling_bert

GATES = {"geglu": torch.nn.functional.gelu, "reglu": torch.relu}


def slopes(heads: int) -> list[float]:
    """One for each attention head, by the rule of the paper's own code."""
    power = 1 << (heads.bit_length() - 1)
    first = [2.0 ** -(8.0 / power * (index + 1)) for index in range(power)]
    return first if power == heads else first + slopes(2 * power)[::2][: heads - power]


class NoPositions(torch.nn.Module):
    """Adds nothing."""

    def forward(self, ids: torch.Tensor) -> float:
        """In place of rows."""
        return 0.0


class GatedUnits(torch.nn.Module):
    """W2 (gate(W1 x) * (V x)) + b, its residual and its norm."""

    def __init__(self, config: Any) -> None:
        super().__init__()
        self.gate = GATES[config.feed_forward_type]
        self.gated_layers = torch.nn.Linear(config.hidden_size, 2 * config.intermediate_size, bias=False)
        self.wo = torch.nn.Linear(config.intermediate_size, config.hidden_size)
        self.layernorm = torch.nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """What comes after attention."""
        gated, factor = self.gated_layers(x).chunk(2, dim=-1)
        return self.layernorm(self.wo(self.gate(gated) * factor) + x)


class BertLayer(modeling_bert.BertLayer):
    """A layer with gated units."""

    def __init__(self, config: Any, *given: Any, **options: Any) -> None:
        super().__init__(config, *given, **options)
        del self.intermediate, self.output
        self.mlp = GatedUnits(config)

    def feed_forward_chunk(self, attention_output: torch.Tensor) -> torch.Tensor:
        """What comes after attention."""
        return self.mlp(attention_output)


class BertModel(modeling_bert.BertModel):
    """An encoder whose attention has biases."""

    def __init__(self, config: Any, *given: Any, **options: Any) -> None:
        super().__init__(config, *given, **options)
        del self.embeddings.position_embeddings
        self.embeddings.position_embeddings = NoPositions()

    def get_extended_attention_mask(self, attention_mask: torch.Tensor, *given: Any, **options: Any) -> torch.Tensor:
        """In transformers 4: the biases are what is added to the scores already."""
        return attention_mask

    def forward(self, input_ids: torch.Tensor, attention_mask: Any = None, **options: Any) -> Any:
        """Of texts without padding."""
        places = torch.arange(input_ids.shape[1])
        distances = (places[None] - places[:, None]).abs()
        biases = -torch.tensor(slopes(self.config.num_attention_heads))[:, None, None] * distances
        return super().forward(input_ids=input_ids, attention_mask=biases[None].to(self.dtype), **options)


def _class(parent: Any) -> Any:
    """A class of BERT's as one of JinaBERT's."""

    def __init__(self: Any, *given: Any, **options: Any) -> None:  # noqa: N807
        with mock.patch.multiple(modeling_bert, BertModel=BertModel, BertLayer=BertLayer):
            parent.__init__(self, *given, **options)

    return type(parent.__name__.replace("Bert", "JinaBert"), (parent,), {"__init__": __init__})


CLASSES = {
    made.__name__: made
    for made in map(_class, (BertModel, modeling_bert.BertForMaskedLM, modeling_bert.BertForSequenceClassification,
                             modeling_bert.BertForTokenClassification, modeling_bert.BertForQuestionAnswering))
}
