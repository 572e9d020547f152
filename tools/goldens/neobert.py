"""NeoBERT, which transformers doesn't have: "NeoBERT: A Next-Generation BERT" (Le Breton et al., 2025), section 3. Norms by the
root mean square (Zhang & Sennrich, 2019) before blocks, SwiGLU (Shazeer, 2020), rotary embeddings (Su et al., 2021) of
neighbours as complex numbers, no biases but the decoder's. Names are those of the published weights."""

from typing import Any

import torch
import transformers
from torch.nn import Embedding, Linear, ModuleList, RMSNorm
from transformers.modeling_outputs import BaseModelOutput, MaskedLMOutput, SequenceClassifierOutput

BASE = 10_000.0  # of the angles


class NeoBERTConfig(transformers.PretrainedConfig):
    """The sizes."""

    model_type = "neobert"
    type_vocab_size = 0


class SwiGLU(torch.nn.Module):
    """W3 (silu(W1 x) * (W2 x)), with two thirds of the numbers that one product of that size would have."""

    def __init__(self, config: Any) -> None:
        super().__init__()
        inner = -(-int(2 * config.intermediate_size / 3) // 8) * 8
        self.w12 = Linear(config.hidden_size, 2 * inner, bias=False)
        self.w3 = Linear(inner, config.hidden_size, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Of each token."""
        gate, factor = self.w12(x).chunk(2, dim=-1)
        return self.w3(torch.nn.functional.silu(gate) * factor)


def turned(x: torch.Tensor) -> torch.Tensor:
    """x [batch, heads, tokens, size], number 2 d + i of a token as a complex one, times e^(i token / base^(2 d / size))."""
    size = x.shape[-1]
    angles = torch.outer(torch.arange(x.shape[-2]).float(), BASE ** -(torch.arange(0, size, 2).float() / size))
    turns = torch.polar(torch.ones_like(angles), angles)
    return torch.view_as_real(torch.view_as_complex(x.float().unflatten(-1, (-1, 2)).contiguous()) * turns).flatten(-2)


class EncoderBlock(torch.nn.Module):
    """A layer."""

    def __init__(self, config: Any) -> None:
        super().__init__()
        self.heads = config.num_attention_heads
        self.qkv = Linear(config.hidden_size, 3 * config.hidden_size, bias=False)
        self.wo = Linear(config.hidden_size, config.hidden_size, bias=False)
        self.ffn = SwiGLU(config)
        self.attention_norm = RMSNorm(config.hidden_size, config.norm_eps)
        self.ffn_norm = RMSNorm(config.hidden_size, config.norm_eps)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Of texts without padding."""
        q, k, v = self.qkv(self.attention_norm(x)).unflatten(-1, (self.heads, -1)).transpose(1, 2).chunk(3, dim=-1)
        q, k = turned(q).to(v.dtype), turned(k).to(v.dtype)
        found = torch.nn.functional.scaled_dot_product_attention(q, k, v)
        x = x + self.wo(found.transpose(1, 2).flatten(-2))
        return x + self.ffn(self.ffn_norm(x))


class NeoBERT(transformers.PreTrainedModel):
    """The encoder."""

    config_class = NeoBERTConfig
    base_model_prefix = "model"
    _supports_sdpa = True

    def __init__(self, config: Any) -> None:
        super().__init__(config)
        self.encoder = Embedding(config.vocab_size, config.hidden_size)
        self.transformer_encoder = ModuleList([EncoderBlock(config) for _ in range(config.num_hidden_layers)])
        self.layer_norm = RMSNorm(config.hidden_size, config.norm_eps)
        self.post_init()

    def forward(self, input_ids: torch.Tensor, attention_mask: Any = None, **_: Any) -> Any:
        """Hidden states, of the last layer behind its norm."""
        states = [self.encoder(input_ids)]
        for layer in self.transformer_encoder:
            states.append(layer(states[-1]))
        states[-1] = self.layer_norm(states[-1])
        return BaseModelOutput(last_hidden_state=states[-1], hidden_states=tuple(states))


class WithHead(transformers.PreTrainedModel):
    """An encoder below a head."""

    config_class = NeoBERTConfig
    base_model_prefix = "model"
    _supports_sdpa = True

    def __init__(self, config: Any) -> None:
        super().__init__(config)
        self.model = NeoBERT(config)
        self.add_head(config)
        self.post_init()

    def forward(self, input_ids: torch.Tensor, attention_mask: Any = None, **_: Any) -> Any:
        """Its logits."""
        output = self.model(input_ids)
        return self.output(logits=self.head(output.last_hidden_state), hidden_states=output.hidden_states)


class NeoBERTForMaskedLM(WithHead):
    """A linear layer on each token."""

    output = MaskedLMOutput

    def add_head(self, config: Any) -> None:
        """Its weights."""
        self.decoder = Linear(config.hidden_size, config.vocab_size)

    def head(self, hidden: torch.Tensor) -> torch.Tensor:
        """Its logits."""
        return self.decoder(hidden)


class NeoBERTForSequenceClassification(WithHead):
    """Two linear layers on the first token."""

    output = SequenceClassifierOutput

    def add_head(self, config: Any) -> None:
        """Their weights."""
        self.dense = Linear(config.hidden_size, config.hidden_size)
        self.classifier = Linear(config.hidden_size, config.num_labels)

    def head(self, hidden: torch.Tensor) -> torch.Tensor:
        """Their logits."""
        return self.classifier(torch.tanh(self.dense(hidden[:, 0])))


CLASSES = {"NeoBERTModel": NeoBERT} | {made.__name__: made for made in (NeoBERTForMaskedLM, NeoBERTForSequenceClassification)}
"""By the names that tools/goldens/models.py makes; the published one for masks is NeoBERTLMHead."""
