"""A class of PyTorchModelHubMixin as nvidia/domain-classifier's page describes it: DeBERTa-v2, and one linear layer on its first token."""

from typing import Any

import torch
from transformers.modeling_outputs import SequenceClassifierOutput
from transformers.models.deberta_v2 import modeling_deberta_v2


class HubDebertaV2ForSequenceClassification(modeling_deberta_v2.DebertaV2PreTrainedModel):
    """The encoder is `model`, the layer `fc`."""

    base_model_prefix = "model"

    def __init__(self, config: Any) -> None:
        super().__init__(config)
        self.model = modeling_deberta_v2.DebertaV2Model(config)
        self.fc = torch.nn.Linear(config.hidden_size, config.num_labels)
        self.post_init()

    def forward(self, input_ids: torch.Tensor, attention_mask: Any = None, **options: Any) -> Any:
        """Its logits."""
        output = self.model(input_ids, attention_mask=attention_mask, **options)
        return SequenceClassifierOutput(
            logits=self.fc(output.last_hidden_state)[:, 0], hidden_states=output.hidden_states
        )


CLASSES = {HubDebertaV2ForSequenceClassification.__name__: HubDebertaV2ForSequenceClassification}
