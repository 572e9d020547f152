"""The tiny models: their sizes, and what is in their checkpoints. Needs neither torch nor transformers."""

from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np
from bertha_convert.families import FAMILIES, HUB_DEBERTA, JINA_BERT, MASKED, NEXT_SENTENCE, QUESTION, SEQUENCE, TOKEN

NONE = "none"
CLASSES = {  # what follows the family's name
    SEQUENCE: "ForSequenceClassification",
    TOKEN: "ForTokenClassification",
    QUESTION: "ForQuestionAnswering",
    NEXT_SENTENCE: "ForNextSentencePrediction",
    MASKED: "ForMaskedLM",
    NONE: "Model",
}
BIOES = ("O", "B-PER", "I-PER", "E-PER", "S-PER", "B-LOC", "I-LOC", "E-LOC", "S-LOC")
BIO = ("O", "B-PER", "I-PER", "B-LOC", "I-LOC", "B-ORG", "I-ORG")
YES_NO = ("no", "yes")
INFERENCE = ("contradiction", "neutral", "entailment")
BERT_SPECIALS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
MIXED = ("B-PER", "I-PER", "LOC", "E-ORG", "S-ORG", "B-MISC-X", "I-MISC-X", "O")

TABLES = FAMILIES | {"jina_bert": JINA_BERT, "hub_deberta": HUB_DEBERTA}

Json = dict[str, Any]


class Tiny(NamedTuple):
    """A small random model."""

    name: str
    head: str
    layers: int
    hidden: int
    heads: int
    inner: int
    act: str = "gelu"
    cased: bool = False
    labels: tuple[str, ...] | None = None
    problem_type: str | None = None
    precision: str = "float32"
    max_length: int = 128
    selftest: bool | None = False  # None: without logits, where transformers can't load it
    seed: int = 1
    family: str = "bert"
    sizes: Json = {}  # keys of config.json beside the above
    every: int = 1  # of the texts and requests only each such one: what families share is said by the first
    padded: bool = False  # also texts with a padding token written out
    windows: bool = False  # also a golden of texts that are read in windows
    zero_shot: bool = False  # also a golden of labels that requests name
    vocabulary: str = ""  # the key of TOKENIZERS, where it isn't the family's


BFLOAT16: Json = {"precision": "bfloat16", "selftest": True}


DISTILBERT: Json = {"family": "distilbert", "every": 3}


ROBERTA: Json = {
    "family": "roberta",
    "cased": True,
    "every": 3,
    "padded": True,
    "sizes": {"type_vocab_size": 1, "max_position_embeddings": 130, "pad_token_id": 1},
}


PRELAYERNORM: Json = {**ROBERTA, "family": "roberta-prelayernorm"}


MEGATRON: Json = {"family": "megatron-bert", "every": 3}


ERNIE: Json = {"family": "ernie", "every": 3, "sizes": {"use_task_id": True, "task_type_vocab_size": 4, "type_vocab_size": 4}}


XLM_ROBERTA: Json = {**ROBERTA, "family": "xlm-roberta"}


CAMEMBERT: Json = {**ROBERTA, "family": "camembert"}


MPNET: Json = {
    "family": "mpnet",
    "every": 3,
    "padded": True,
    "sizes": {"max_position_embeddings": 130, "pad_token_id": 1},
}


MODERN: Json = {
    "family": "modernbert",
    "cased": True,
    "every": 3,
    "sizes": {
        "local_attention": 8,
        "global_attn_every_n_layers": 2,
        **{f"{kind}_bias": False for kind in ("attention", "mlp", "norm", "classifier")},
    },
}


NOMIC: Json = {"family": "nomic_bert", "act": "silu", "every": 3, "sizes": {"rope_parameters": {"rope_theta": 90.0}}}
GTE: Json = {"family": "gte", "every": 3, "sizes": {"type_vocab_size": 0, "rope_parameters": {"rope_theta": 300.0}}}
JINA: Json = {
    "family": "jina_embeddings_v3",
    "cased": True,
    "every": 3,
    "sizes": {"type_vocab_size": 1, "pad_token_id": 1, "rope_parameters": {"rope_type": "linear", "factor": 3.0, "rope_theta": 50.0}},
}


JINA_BERT_2: Json = {"family": "jina_bert", "every": 3, "sizes": {"position_embedding_type": "alibi"}}


NEOBERT: Json = {"family": "neobert", "every": 3, "sizes": {"norm_eps": 1e-5}}
EUROBERT: Json = {"family": "eurobert", "cased": True, "every": 3, "sizes": {"num_key_value_heads": 2}}
GEMMA: Json = {
    "family": "gemma3_text",
    "cased": True,
    "every": 3,
    "sizes": {
        "use_bidirectional_attention": True,
        "num_key_value_heads": 1,
        "sliding_window": 8,
        "sliding_window_pattern": 2,
        "rope_theta": 90.0,
        "rope_local_base_freq": 30.0,
        "rms_norm_eps": 1e-6,
    },
}


def gemma(head_dim: int, **sizes: Any) -> Json:
    """A Gemma 3 that sees both sides, as EmbeddingGemma does, with heads of that size."""
    return {**GEMMA, "sizes": GEMMA["sizes"] | {"head_dim": head_dim, "query_pre_attn_scalar": head_dim} | sizes}


def eurobert(**sizes: Any) -> Json:
    """A EuroBERT with other values in config.json."""
    return {**EUROBERT, "sizes": EUROBERT["sizes"] | sizes}


def modern(**sizes: Any) -> Json:
    """The same with other values in config.json."""
    return {**MODERN, "sizes": MODERN["sizes"] | sizes}


def electra(embedding_size: int) -> Json:
    """What an ELECTRA is given beside its sizes."""
    return {"family": "electra", "every": 3, "sizes": {"embedding_size": embedding_size}}


def albert(embedding_size: int, groups: int = 1, inner: int = 1) -> Json:
    """What an ALBERT is given beside its sizes."""
    sizes = {"embedding_size": embedding_size, "num_hidden_groups": groups, "inner_group_num": inner}
    return {"family": "albert", "act": "gelu_new", "every": 3, "sizes": sizes}


def deberta_v2(*terms: str, **sizes: Any) -> Json:
    """What a DeBERTa-v2 is given beside its sizes: what v3 has, and `sizes`."""
    v3 = {
        "type_vocab_size": 0,
        "relative_attention": True,
        "pos_att_type": list(terms),
        "max_relative_positions": -1,
        "position_buckets": 8,
        "norm_rel_ebd": "layer_norm",
        "share_att_key": True,
        "position_biased_input": False,
        "layer_norm_eps": 1e-7,
    }
    return {"family": "deberta-v2", "cased": True, "every": 3, "sizes": v3 | sizes}


def deberta(*terms: str, **sizes: Any) -> Json:
    """What a DeBERTa is given beside its sizes."""
    own = {"type_vocab_size": 0, "relative_attention": True, "pos_att_type": list(terms), "position_biased_input": False}
    return {"family": "deberta", "cased": True, "every": 3, "sizes": own | {"layer_norm_eps": 1e-7} | sizes}


HUB: Json = {**deberta_v2("c2p", "p2c", base_model="microsoft/deberta-v3-base"), "family": "hub_deberta", "vocabulary": "deberta-v2"}
DEBERTA_MASKED: Json = {**deberta_v2("c2p", "p2c"), "vocabulary": "deberta-v2, each token once"}


MODELS = (
    Tiny("classify_two", SEQUENCE, 2, 32, 4, 64, labels=("negative", "positive"), selftest=True),
    Tiny("classify_deep", SEQUENCE, 12, 16, 2, 24, "gelu_new", cased=True, labels=tuple("abcdefg")),
    Tiny(
        "classify_multi_label",
        SEQUENCE,
        1,
        36,
        3,
        52,
        "relu",
        labels=("k", "\u00fc", "n o"),
        problem_type="multi_label_classification",
    ),
    Tiny("classify_regression", SEQUENCE, 1, 20, 5, 33, "silu", labels=("LABEL_0",), problem_type="regression"),
    Tiny("classify_one", SEQUENCE, 1, 16, 1, 24, cased=True, labels=("yes",)),
    Tiny(
        "classify_int8",
        SEQUENCE,
        2,
        36,
        3,
        52,
        labels=("negative", "positive", "neither"),
        precision="int8",
        selftest=True,
    ),
    Tiny("classify_bfloat16", SEQUENCE, 2, 36, 3, 52, labels=("negative", "positive", "neither"), **BFLOAT16),
    Tiny("inference", SEQUENCE, 1, 28, 4, 40, labels=INFERENCE, seed=2, every=6, zero_shot=True),
    Tiny("next_sentence", NEXT_SENTENCE, 1, 28, 2, 40, seed=4, every=3, selftest=True),
    Tiny("entities", TOKEN, 2, 36, 3, 52, labels=BIO, selftest=True, seed=3),
    Tiny("entities_cased", TOKEN, 1, 40, 2, 48, "gelu_new", cased=True, labels=MIXED, max_length=48, seed=7, windows=True),
    Tiny("entities_bioes", TOKEN, 1, 28, 2, 40, cased=True, labels=BIOES, seed=11, every=6),
    Tiny("entities_int8", TOKEN, 1, 32, 2, 64, cased=True, labels=BIO, precision="int8", selftest=True, seed=3),
    Tiny("entities_bfloat16", TOKEN, 1, 27, 3, 41, cased=True, labels=BIO, seed=3, every=2, **BFLOAT16),
    Tiny("encoder", NONE, 3, 28, 7, 30, "relu"),
    Tiny("answers", QUESTION, 2, 36, 3, 52, selftest=True),
    Tiny("answers_cased", QUESTION, 1, 32, 4, 40, "gelu_new", cased=True),
    Tiny("answers_int8", QUESTION, 2, 32, 2, 48, precision="int8", selftest=True),
    Tiny("answers_bfloat16", QUESTION, 2, 32, 2, 49, **BFLOAT16),
    Tiny("distilbert_classify", SEQUENCE, 2, 32, 4, 48, labels=YES_NO, selftest=True, **DISTILBERT),
    Tiny("distilbert_entities", TOKEN, 1, 28, 7, 40, "relu", cased=True, labels=BIO, seed=2, **DISTILBERT),
    Tiny("distilbert_answers", QUESTION, 1, 32, 2, 40, selftest=True, **DISTILBERT),
    Tiny("distilbert_int8", SEQUENCE, 1, 32, 4, 48, labels=YES_NO, precision="int8", selftest=True, **DISTILBERT),
    Tiny("electra_classify", SEQUENCE, 2, 32, 4, 48, labels=tuple("abc"), selftest=True, **electra(20)),
    Tiny("electra_entities", TOKEN, 1, 28, 2, 40, labels=BIO, seed=2, **electra(28)),
    Tiny("electra_answers", QUESTION, 1, 28, 7, 40, "gelu_new", selftest=True, **electra(30)),
    Tiny("electra_bfloat16", TOKEN, 1, 32, 2, 48, labels=BIO, **BFLOAT16, **electra(21)),
    Tiny("electra_int8", TOKEN, 1, 32, 2, 48, labels=BIO, precision="int8", selftest=True, **electra(20)),
    Tiny("roberta_classify", SEQUENCE, 2, 32, 4, 48, labels=tuple("abc"), selftest=True, **ROBERTA),
    Tiny("roberta_entities", TOKEN, 1, 28, 2, 40, "relu", labels=BIO, seed=2, windows=True, **ROBERTA),
    Tiny("roberta_answers", QUESTION, 1, 28, 2, 40, selftest=True, **ROBERTA),
    Tiny("roberta_int8", QUESTION, 1, 32, 2, 48, precision="int8", selftest=True, **ROBERTA),
    Tiny("xlm_roberta_classify", SEQUENCE, 2, 32, 4, 48, labels=tuple("abc"), selftest=True, **XLM_ROBERTA),
    Tiny("xlm_roberta_entities", TOKEN, 2, 28, 2, 40, labels=BIO, seed=2, selftest=True, windows=True, **XLM_ROBERTA),
    Tiny("xlm_roberta_answers", QUESTION, 1, 28, 2, 40, selftest=True, **XLM_ROBERTA),
    Tiny("camembert_classify", SEQUENCE, 1, 28, 2, 40, labels=YES_NO, selftest=True, **CAMEMBERT),
    Tiny("camembert_entities", TOKEN, 1, 32, 4, 48, "relu", labels=BIO, seed=2, **CAMEMBERT),
    Tiny("camembert_answers", QUESTION, 1, 32, 2, 48, selftest=True, **CAMEMBERT),
    Tiny("albert_classify", SEQUENCE, 6, 32, 4, 48, labels=tuple("abc"), selftest=True, seed=5, **albert(20)),
    Tiny("albert_entities", TOKEN, 3, 28, 2, 40, cased=True, labels=BIO, seed=2, selftest=True, **albert(28, 2, 2)),
    Tiny("albert_answers", QUESTION, 4, 28, 7, 40, selftest=True, **albert(30, 2)),
    Tiny("albert_encoder", NONE, 2, 28, 2, 40, **albert(12, 1, 2)),
    Tiny("albert_bfloat16", TOKEN, 2, 32, 2, 48, labels=BIO, **BFLOAT16, **albert(21)),
    Tiny("mpnet_classify", SEQUENCE, 2, 32, 4, 48, labels=tuple("abc"), selftest=True, **MPNET),
    Tiny("mpnet_entities", TOKEN, 1, 28, 2, 40, "relu", cased=True, labels=BIO, seed=2, **MPNET),
    Tiny("mpnet_answers", QUESTION, 1, 28, 2, 40, selftest=True, **MPNET),
    Tiny("mpnet_encoder", NONE, 2, 36, 3, 40, "gelu_new", **{**MPNET, "padded": False}),
    Tiny("mpnet_int8", TOKEN, 1, 32, 2, 48, labels=BIO, precision="int8", selftest=True, **MPNET),
    Tiny("modern_classify", SEQUENCE, 3, 32, 4, 24, labels=tuple("abc"), selftest=True, **MODERN),
    Tiny(
        "modern_mean",
        SEQUENCE,
        2,
        36,
        3,
        20,
        "gelu_new",
        labels=YES_NO,
        **modern(classifier_pooling="mean", attention_bias=True, mlp_bias=True, norm_bias=True, classifier_bias=True),
    ),
    Tiny(
        "modern_entities",
        TOKEN,
        4,
        28,
        2,
        40,
        "silu",
        labels=BIO,
        seed=2,
        selftest=True,
        **modern(
            layer_types=["sliding_attention", "full_attention", "full_attention", "sliding_attention"],
            rope_parameters={
                "full_attention": {"rope_type": "default", "rope_theta": 500.0},
                "sliding_attention": {"rope_type": "linear", "factor": 2.0, "rope_theta": 100.0},
            },
            classifier_activation="relu",
            mlp_bias=True,
        ),
    ),
    Tiny("modern_answers", QUESTION, 3, 32, 2, 48, selftest=True, **MODERN),
    Tiny("modern_encoder", NONE, 5, 36, 3, 40, **modern(global_rope_theta=80.0, local_rope_theta=80.0, norm_bias=True)),
    Tiny("modern_int8", TOKEN, 3, 32, 2, 48, labels=BIO, precision="int8", selftest=True, **MODERN),
    Tiny("modern_bfloat16", TOKEN, 2, 32, 2, 48, labels=BIO, seed=5, **BFLOAT16, **MODERN),
    Tiny("nomic_classify", SEQUENCE, 2, 32, 4, 40, labels=tuple("abc"), selftest=True, **NOMIC),
    Tiny("nomic_encoder", NONE, 2, 36, 3, 28, **{**NOMIC, "act": "gelu"}),
    Tiny("nomic_int8", TOKEN, 2, 32, 2, 48, labels=BIO, seed=2, precision="int8", selftest=True, **NOMIC),
    Tiny("nomic_bfloat16", TOKEN, 2, 32, 2, 48, labels=BIO, seed=3, **BFLOAT16, **NOMIC),
    Tiny("gte_bfloat16", SEQUENCE, 2, 28, 2, 40, labels=tuple("abc"), **BFLOAT16, **GTE),
    Tiny("gte_classify", SEQUENCE, 2, 28, 2, 40, labels=YES_NO, selftest=True, **GTE),
    Tiny("gte_entities", TOKEN, 2, 32, 4, 44, labels=BIO, seed=2, **{**GTE, "sizes": {"type_vocab_size": 2}}),
    Tiny("jina_classify", SEQUENCE, 2, 32, 4, 48, labels=YES_NO, selftest=True, **JINA),
    Tiny("jina_encoder", NONE, 2, 28, 2, 40, **JINA),
    Tiny("masked_nomic", MASKED, 1, 28, 2, 40, selftest=True, **NOMIC),
    Tiny("masked_gte", MASKED, 1, 28, 2, 40, selftest=True, **GTE),
    Tiny("masked_jina", MASKED, 1, 28, 2, 40, selftest=True, **JINA),
    Tiny("masked_modern", MASKED, 2, 32, 4, 48, selftest=True, **MODERN),
    Tiny("deberta_classify", SEQUENCE, 2, 32, 4, 48, labels=tuple("abc"), selftest=True, **deberta_v2("p2c", "c2p")),
    Tiny(
        "deberta_entities",
        TOKEN,
        1,
        28,
        2,
        40,
        "relu",
        labels=BIO,
        seed=2,
        **deberta_v2("c2p", position_buckets=-1, max_relative_positions=11, share_att_key=False, norm_rel_ebd="none"),
    ),
    Tiny(
        "deberta_answers",
        QUESTION,
        1,
        32,
        2,
        48,
        selftest=True,
        **deberta_v2("p2c", position_biased_input=True, max_position_embeddings=130, type_vocab_size=2),
    ),
    Tiny("deberta_encoder", NONE, 2, 36, 3, 40, **deberta_v2(relative_attention=False, position_biased_input=True)),
    Tiny("prelayernorm_classify", SEQUENCE, 2, 32, 4, 48, labels=tuple("abc"), selftest=True, **PRELAYERNORM),
    Tiny("prelayernorm_answers", QUESTION, 2, 28, 2, 40, "relu", **PRELAYERNORM),
    Tiny("prelayernorm_int8", TOKEN, 2, 32, 2, 48, labels=BIO, seed=2, precision="int8", selftest=True, **PRELAYERNORM),
    Tiny("megatron_classify", SEQUENCE, 2, 32, 4, 48, labels=tuple("abc"), selftest=True, **MEGATRON),
    Tiny("megatron_entities", TOKEN, 2, 28, 2, 40, "gelu_new", labels=BIO, seed=3, **MEGATRON),
    Tiny("megatron_answers", QUESTION, 2, 32, 2, 40, **MEGATRON),
    Tiny("ernie_classify", SEQUENCE, 2, 32, 4, 48, "relu", labels=tuple("abc"), selftest=True, **ERNIE),
    Tiny("ernie_encoder", NONE, 2, 28, 2, 40, **{**ERNIE, "sizes": {"use_task_id": False}}),
    Tiny("ernie_int8", TOKEN, 2, 32, 2, 48, labels=BIO, precision="int8", selftest=True, **ERNIE),
    Tiny("masked_prelayernorm", MASKED, 1, 28, 2, 40, selftest=True, **PRELAYERNORM),
    Tiny("masked_megatron", MASKED, 1, 28, 2, 40, selftest=True, **MEGATRON),
    Tiny("masked_ernie", MASKED, 1, 28, 2, 40, selftest=True, **ERNIE),
    Tiny("jina_bert_classify", SEQUENCE, 2, 36, 3, 52, "geglu", labels=tuple("abc"), selftest=None, **JINA_BERT_2),
    Tiny("jina_bert_encoder", NONE, 2, 48, 6, 40, "reglu", **JINA_BERT_2),
    Tiny("jina_bert_int8", TOKEN, 2, 32, 4, 48, "geglu", labels=BIO, precision="int8", selftest=None, **JINA_BERT_2),
    Tiny("jina_bert_bfloat16", TOKEN, 2, 36, 3, 48, "geglu", labels=BIO, seed=3, **{**BFLOAT16, "selftest": None}, **JINA_BERT_2),
    Tiny("jina_bert_answers", QUESTION, 2, 32, 4, 48, "geglu", selftest=None, **JINA_BERT_2),
    Tiny("masked_jina_bert", MASKED, 1, 28, 2, 40, "reglu", **JINA_BERT_2),
    Tiny("deberta_1_classify", SEQUENCE, 2, 36, 3, 52, labels=tuple("abc"), selftest=True, **deberta("c2p", "p2c")),
    Tiny(
        "deberta_1_entities",
        TOKEN,
        1,
        28,
        2,
        40,
        "relu",
        labels=BIO,
        seed=2,
        **deberta("p2c", position_biased_input=True, type_vocab_size=2, max_relative_positions=9),
    ),
    Tiny("deberta_1_answers", QUESTION, 1, 32, 4, 40, selftest=True, **deberta("c2p", max_relative_positions=300)),
    Tiny("deberta_1_int8", TOKEN, 2, 32, 2, 48, labels=BIO, seed=2, precision="int8", selftest=True, **deberta("c2p", "p2c")),
    Tiny("deberta_1_bfloat16", TOKEN, 2, 28, 2, 40, labels=BIO, seed=3, **BFLOAT16, **deberta("c2p", "p2c")),
    Tiny("masked_deberta_1", MASKED, 1, 28, 2, 40, selftest=True, **deberta("p2c", "c2p")),
    Tiny("deberta_int8", TOKEN, 2, 36, 3, 52, labels=BIO, seed=4, precision="int8", selftest=True, **deberta_v2("c2p", "p2c")),
    Tiny(
        "deberta_bfloat16",
        TOKEN,
        2,
        32,
        2,
        48,
        labels=BIO,
        seed=4,
        **BFLOAT16,
        **deberta_v2("c2p", "p2c", share_att_key=False, position_biased_input=True, max_position_embeddings=130),
    ),
    Tiny("masked_deberta", MASKED, 1, 28, 2, 40, selftest=True, **DEBERTA_MASKED),
    Tiny("masked_deberta_v3", MASKED, 1, 32, 2, 48, **{**DEBERTA_MASKED, "sizes": DEBERTA_MASKED["sizes"] | {"legacy": False}}),
    Tiny("hub_deberta_classify", SEQUENCE, 2, 32, 4, 48, labels=tuple("abc"), selftest=None, **HUB),
    Tiny("hub_deberta_int8", SEQUENCE, 2, 36, 3, 52, labels=tuple("abc"), precision="int8", selftest=None, **HUB),
    Tiny("hub_deberta_bfloat16", SEQUENCE, 2, 32, 4, 48, labels=tuple("abc"), seed=2, **{**BFLOAT16, "selftest": None}, **HUB),
    Tiny("neobert_classify", SEQUENCE, 2, 32, 4, 48, labels=tuple("abc"), selftest=None, **NEOBERT),
    Tiny("neobert_encoder", NONE, 3, 36, 3, 50, **{**NEOBERT, "sizes": {"norm_eps": 0.01}}),
    Tiny("neobert_int8", SEQUENCE, 2, 32, 2, 72, labels=YES_NO, precision="int8", selftest=None, **NEOBERT),
    Tiny("neobert_bfloat16", SEQUENCE, 2, 32, 2, 48, labels=YES_NO, **{**BFLOAT16, "selftest": None}, **NEOBERT),
    Tiny("masked_neobert", MASKED, 2, 28, 2, 40, **NEOBERT),
    Tiny("eurobert_classify", SEQUENCE, 2, 32, 4, 48, "silu", labels=tuple("abc"), selftest=True, **EUROBERT),
    Tiny("eurobert_first", SEQUENCE, 2, 36, 6, 40, "gelu", labels=YES_NO, **eurobert(classifier_pooling="bos", attention_bias=True)),
    Tiny("eurobert_mean", SEQUENCE, 1, 28, 2, 40, "silu", labels=YES_NO, **eurobert(classifier_pooling="mean", mlp_bias=True, num_key_value_heads=None)),
    Tiny("eurobert_entities", TOKEN, 2, 32, 4, 40, "silu", labels=BIO, seed=2, selftest=True, **eurobert(num_key_value_heads=1, attention_bias=True, mlp_bias=True)),
    Tiny("eurobert_int8", TOKEN, 2, 32, 4, 48, "silu", labels=BIO, seed=3, precision="int8", selftest=True, **EUROBERT),
    Tiny("eurobert_bfloat16", TOKEN, 2, 32, 4, 48, "silu", labels=BIO, seed=3, **BFLOAT16, **EUROBERT),
    Tiny("masked_eurobert", MASKED, 2, 28, 2, 40, "silu", selftest=True, **EUROBERT),
    Tiny("masked_eurobert_tied", MASKED, 1, 32, 4, 40, "silu", **eurobert(tie_word_embeddings=True, mlp_bias=True)),
    Tiny("gemma_encoder", NONE, 4, 32, 4, 48, "gelu_pytorch_tanh", **gemma(8)),
    Tiny("gemma_layers", NONE, 3, 36, 2, 40, "silu", **gemma(18, layer_types=["full_attention", "sliding_attention", "full_attention"], attention_bias=True, num_key_value_heads=2)),
    Tiny("gemma_bfloat16", NONE, 3, 32, 4, 48, "gelu_pytorch_tanh", precision="bfloat16", **gemma(8)),
    Tiny("masked", MASKED, 2, 32, 4, 48, "gelu_new", selftest=True),
    Tiny("masked_untied", MASKED, 1, 28, 2, 40, "relu", cased=True, selftest=True, sizes={"tie_word_embeddings": False}),
    Tiny("masked_int8", MASKED, 2, 36, 3, 52, precision="int8", selftest=True),
    Tiny("masked_bfloat16", MASKED, 2, 36, 3, 52, seed=3, **BFLOAT16),
    Tiny("masked_distilbert", MASKED, 1, 28, 2, 40, selftest=True, **DISTILBERT),
    Tiny("masked_electra", MASKED, 1, 32, 2, 48, "relu", selftest=True, **electra(20)),
    Tiny("masked_roberta", MASKED, 1, 28, 2, 40, "relu", selftest=True, **ROBERTA),
    Tiny("masked_xlm_roberta", MASKED, 1, 28, 2, 40, selftest=True, **XLM_ROBERTA),
    Tiny("masked_camembert", MASKED, 1, 28, 2, 40, **CAMEMBERT),
    Tiny("masked_albert", MASKED, 2, 32, 2, 48, **albert(21)),
    Tiny("masked_mpnet", MASKED, 1, 28, 2, 40, selftest=True, **MPNET),
    Tiny("albert_int8", TOKEN, 3, 32, 2, 48, labels=BIO, precision="int8", selftest=True, **albert(32)),
)


def spread(name: str, layers: int) -> float:
    """The standard deviation of a parameter: tokens keep their own direction through the layers, and logits spread."""
    if name.endswith("bias") or "norm" in name.lower() or ".ln." in name:
        return 0.2 / layers
    if any(part in name for part in ("output.dense", "out_lin", "lin2", "attention.dense", "ffn_output", ".Wo.", "down_proj", "fc2", "o_proj")):
        return 0.4 / layers
    return 0.7 if "embeddings" in name or not any(part in name for part in ("encoder", "transformer", "layers.")) else 0.45


def raw_config(tiny: Tiny, vocab_size: int) -> Json:
    """The model's config.json, under the keys that the family has for its sizes."""
    family = TABLES[tiny.family]
    sizes = {
        "vocab_size": vocab_size,
        "hidden_size": tiny.hidden,
        "num_hidden_layers": tiny.layers,
        "num_attention_heads": tiny.heads,
        "intermediate_size": tiny.inner,
        "max_position_embeddings": 128,
        "type_vocab_size": 2,
    }
    config = {
        "architectures": [family.class_name + CLASSES[tiny.head]],
        "model_type": family.model_type,
        **{family.sizes[field].names[0]: value for field, value in sizes.items() if family.sizes[field].names},
        family.activation or "hidden_act": tiny.act,
        family.layer_norm_eps or "layer_norm_eps": 1e-12,
        "pad_token_id": 0,
        **tiny.sizes,
    }
    if tiny.labels:
        config["id2label"] = {str(index): label for index, label in enumerate(tiny.labels)}
        config["label2id"] = {label: index for index, label in enumerate(tiny.labels)}
    if tiny.problem_type:
        config["problem_type"] = tiny.problem_type
    return config


def random_weights(tiny: Tiny, shapes: Iterable[tuple[str, tuple[int, ...]]]) -> dict[str, np.ndarray]:
    """The parameters of those names and shapes, in their order, large enough that the logits spread."""
    from_one = TABLES[tiny.family].norms_from_one
    rng = np.random.default_rng(tiny.seed)
    result = {}
    for name, shape in sorted(shapes):
        values = rng.normal(0, spread(name, tiny.layers), shape).astype(np.float32)
        ones = name.lower().endswith(("norm.weight", ".ln.weight")) and not from_one
        result[name] = values + np.float32(1) if ones else values
    return result
