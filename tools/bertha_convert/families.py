"""The families that are converted, as tables: the only place where they are told apart.

Names and defaults of config.json are those of configuration_*.py, tensors those of modeling_*.py in transformers 5.23.0
and 4.57.6, which agree.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

WRAPPERS = {  # what training puts into names, in any order, and where it comes from; all but the last before any part
    "module.": "a parallel training",
    "_orig_mod.": "torch.compile",
    "_fsdp_wrapped_module.": "a sharded training",
    "_checkpoint_wrapped_module.": "activations computed twice",
    "model.": "a class around the model",
}
AROUND_ALL = "model."  # the one that stands before whole names only
SEQUENCE, TOKEN, QUESTION = HEADS = ("sequence-classification", "token-classification", "question-answering")


EMBEDDING = "embedding"
MASKED = "masked-lm"
PARTS = ("attention", "intermediate", "output", "norm", "head", "decoder")  # that may have biases or not
NEXT_SENTENCE = "next-sentence-prediction"  # in the file a sequence-classification of pairs


class Size(NamedTuple):
    """An integer of config.json: the names it may have there, of which the last wins, and its value without any."""

    names: tuple[str, ...]
    default: int
    least: int = 1
    made: Callable[[int], int] | None = None  # what the model makes of it


class Dense(NamedTuple):
    """A linear layer on the hidden state of the first token, and the activation after it."""

    name: str
    activation: str
    key: str | None = None  # of config.json, where it names another
    inside: bool = False  # of the encoder, which alone hasn't it


class Transform(NamedTuple):
    """What heads begin with in some families: a linear layer, an activation, a LayerNorm; config.json chooses the activation."""

    dense: str
    norm: str | None
    activation: str | tuple[str, str]  # a tuple: its name in config.json, and the default


class Head(NamedTuple):
    """A head's last linear layer; where it doesn't read every token, also the layer before it."""

    output: str
    dense: Dense | None = None
    transform: Transform | None = None
    pooling: tuple[str, dict[str, str]] | None = None  # before `transform`: the name in config.json, modes by its values
    late: str | None = None  # the value of that by which `transform` comes before the mean


class MaskedHead(NamedTuple):
    """A head that says which token stands behind a mask: a linear layer, its activation, a LayerNorm, and a product with
    the word table, or with a table of the head's own, and a bias for each token. Without `dense` it is the product alone."""

    dense: str | None
    norm: str | None
    decoder: str
    bias: str  # its tensor, where the decoder hasn't one
    activation: str | tuple[str, str] | None = None  # None: the encoder's; a tuple: its name in config.json, and the default
    always_tied: bool = False  # whatever config.json has
    never_tied: bool = False


class Names(NamedTuple):
    """What the encoder's tensors are called, those of a layer after `layers` and its number."""

    layers: str = "encoder.layer"
    word: str = "embeddings.word_embeddings"
    token_type: str = "embeddings.token_type_embeddings"
    norm: str | None = "embeddings.LayerNorm"
    query_key_value: str | None = None  # the three one after the other in one matrix, in place of: `query`, `key`, `value`
    by_head: bool = False  # of that matrix: attention head by attention head, without biases but those of:
    query_bias: str | None = None
    value_bias: str | None = None
    neighbours: bool = False  # of that matrix: numbers that are turned as a pair stand side by side, not half a head apart
    query: str = "attention.self.query"
    key: str = "attention.self.key"
    value: str = "attention.self.value"
    attention_output: str = "attention.output.dense"
    attention_norm: str = "attention.output.LayerNorm"
    intermediate: str = "intermediate.dense"
    factor: str | None = None  # a gated network's second product; in the same layer it comes after the first, or
    factor_first: bool = False  # before it
    output: str = "output.dense"
    output_norm: str = "output.LayerNorm"
    projection: str = "embeddings_project"  # the linear layer after the embeddings
    last_norm: str | None = None  # behind the last layer, where norms are before blocks
    query_norm: str | None = None  # of each attention head's queries
    key_norm: str | None = None
    attention_result_norm: str | None = None  # of what a block makes, before it is added, where there are such norms
    output_result_norm: str | None = None


class Groups(NamedTuple):
    """Layers in groups, which run several times each; a layer's tensors are called after its group, `layers` and its number."""

    count: Size
    size: Size  # of layers in each
    layers: str


class Buckets(NamedTuple):
    """Numbers that attention adds to scores, one for each of its heads and each bucket of distances from query to key.

    Buckets are those of T5: as many for what lies before as for what lies behind, half of them for a distance each, and
    the others for more and more, the last from `furthest` on.
    """

    tensor: str  # [buckets, heads]
    rows: Size  # as the checkpoint has them
    count: int = 32  # of buckets: whatever there are, transformers asks for that many
    furthest: int = 128


class Tasks(NamedTuple):
    """Embeddings of tasks, of which every text's is the first, as transformers has it where a caller names none."""

    used: str  # the name in config.json: whether there are any
    tensor: str
    rows: Size


class Angles(NamedTuple):
    """How one kind of layer turns queries and keys: its key in rope_parameters (None: that is one object for all layers), the
    base's name in older files, its default."""

    kind: str | None
    old_name: str | None
    base: float
    old_rule: bool = True  # older files' rope_scaling is for this kind


class Local(NamedTuple):
    """Layers that see a window of keys, and others that see all."""

    window: Size  # both sides together
    kinds: str  # the list of kinds, one for each layer
    every: Size  # without it: of so many layers each the first one sees all
    last: bool = False  # the last one of them


class Disentangled(NamedTuple):
    """Keys and queries of relative positions, which attention multiplies with the queries and keys of tokens.

    They are linear layers of a table of embeddings; a layer with shared ones has those that make keys and queries of tokens.
    """

    table: str = "encoder.rel_embeddings.weight"
    norm: str | None = "encoder.LayerNorm"  # of the table, where config.json asks for one
    key: str = "attention.self.pos_key_proj"
    query: str = "attention.self.pos_query_proj"
    key_bias: bool = True
    chooses: bool = True  # config.json chooses buckets of distances, a norm of the table and shared layers; else there are none


class Family(NamedTuple):
    """One family. Values that most have are the defaults."""

    model_type: str
    class_name: str  # what transformers' class names begin with
    prefix: str  # of the encoder's tensors in a model with a head
    sizes: dict[str, Size]  # by the fields of tools/format.md, in its order
    heads: dict[str, Head]
    masked: MaskedHead
    unused: tuple[str, ...]  # beginnings of tensors of other heads
    activation: str | None = "hidden_act"  # its name in config.json; None: it is always the default
    default_activation: str = "gelu"
    activations: dict[str, str] = {}  # words for them, where they are a family's own
    layer_norm_eps: str | None = "layer_norm_eps"  # its name in config.json; None: it is always the default
    default_layer_norm_eps: float = 1e-12
    new_masked: MaskedHead | None = None  # where config.json has `legacy` false
    refused: tuple[tuple[str, Any, str], ...] = ()  # keys of config.json, what each must be, and what it is otherwise
    optional_positions: bool = False  # config.json says by `position_biased_input` whether there is a position table
    padding_id: int | None = None  # default of pad_token_id, where positions are counted from it; None: from 0
    reads_padding_id: bool = True  # else it is the default, whatever config.json has
    buckets: Buckets | None = None
    slopes: bool = False  # attention subtracts a head's slope times the distance (ALiBi)
    disentangled: Disentangled | None = None
    tasks: Tasks | None = None
    pooler: Dense | None = Dense("pooler.dense", "tanh")  # the encoder's own
    names: Names = Names()
    groups: Groups | None = None
    norms_before: bool = False  # blocks; else behind them
    norms_around: bool = False  # before them and of what they make, before it is added
    rms_norms: bool = False  # norms subtract no mean and have no bias
    norms_from_one: bool = False  # one is added to their weights
    scales_words: bool = False  # the word table is multiplied by the root of hidden_size
    key_value_heads: Size | None = None  # keys and values have, each for as many of the attention heads; None: as many
    head_dim: int | None = None  # default of that, where it isn't hidden_size / num_attention_heads
    ties: bool = True  # default of tie_word_embeddings
    required: tuple[tuple[str, Any, str], ...] = ()  # keys of config.json, what each must be, and what it is otherwise or without
    first_norm: bool = True  # before the first block, where norms are before blocks
    angles: tuple[Angles, ...] = ()  # of layers that see all, and of others
    local: Local | None = None
    position_table: bool = True
    biases: dict[str, bool | tuple[str, bool]] = {}  # of PARTS: whether they have one, or its name in config.json, and the default
    only: dict[str, object] = {}  # values of config.json that are run; other ones would give other results
    always_projects: bool = False  # else where embeddings are narrower or wider than hidden states
    published: bool = False  # with code in its own folder, under which transformers alone can't load it


def _sizes(**defaults: int) -> dict[str, Size]:
    """BERT's sizes under their own names, with other defaults."""
    values = {
        "vocab_size": 30522,
        "hidden_size": 768,
        "embedding_size": 768,
        "num_hidden_layers": 12,
        "num_attention_heads": 12,
        "intermediate_size": 3072,
        "max_position_embeddings": 512,
        "type_vocab_size": 2,
    } | defaults
    sizes = {name: Size((name,), default) for name, default in values.items()}
    return sizes if "embedding_size" in defaults else sizes | {"embedding_size": sizes["hidden_size"]}


def _heads(sequence: Head) -> dict[str, Head]:
    """The heads of a family: the other two are one linear layer everywhere."""
    return {SEQUENCE: sequence, TOKEN: Head("classifier"), QUESTION: Head("qa_outputs")}


BERT = Family(
    model_type="bert",
    class_name="Bert",
    prefix="bert.",
    sizes=_sizes(),
    heads=_heads(Head("classifier", Dense("pooler.dense", "tanh")))
    | {NEXT_SENTENCE: Head("cls.seq_relationship", Dense("pooler.dense", "tanh"))},
    masked=MaskedHead(
        "cls.predictions.transform.dense",
        "cls.predictions.transform.LayerNorm",
        "cls.predictions.decoder",
        "cls.predictions.bias",
    ),
    unused=("pooler.", "cls.", "classifier.", "qa_outputs."),
)
ROBERTA = Family(
    model_type="roberta",
    class_name="Roberta",
    prefix="roberta.",
    sizes=_sizes(vocab_size=50265),
    heads=_heads(Head("classifier.out_proj", Dense("classifier.dense", "tanh"))),
    masked=MaskedHead("lm_head.dense", "lm_head.layer_norm", "lm_head.decoder", "lm_head.bias", "gelu"),
    unused=("pooler.", "lm_head.", "classifier.", "qa_outputs."),
    padding_id=1,
)
XLM_ROBERTA = ROBERTA._replace(model_type="xlm-roberta", class_name="XLMRoberta", sizes=_sizes())
CAMEMBERT = ROBERTA._replace(model_type="camembert", class_name="Camembert", sizes=_sizes())
ROBERTA_PRELAYERNORM = ROBERTA._replace(
    model_type="roberta-prelayernorm",
    class_name="RobertaPreLayerNorm",
    prefix="roberta_prelayernorm.",
    norms_before=True,
    names=Names(attention_norm="attention.LayerNorm", output_norm="intermediate.LayerNorm", last_norm="LayerNorm"),
)
MEGATRON_BERT = BERT._replace(
    model_type="megatron-bert",
    class_name="MegatronBert",
    sizes=_sizes(
        vocab_size=29056, hidden_size=1024, num_hidden_layers=24, num_attention_heads=16, intermediate_size=4096
    ),
    norms_before=True,
    names=Names(norm=None, attention_norm="attention.ln", output_norm="ln", last_norm="encoder.ln"),
)
ERNIE = BERT._replace(
    model_type="ernie",
    class_name="Ernie",
    prefix="ernie.",
    tasks=Tasks("use_task_id", "embeddings.task_type_embeddings.weight", Size(("task_type_vocab_size",), 3)),
)
MPNET = ROBERTA._replace(
    model_type="mpnet",
    class_name="MPNet",
    prefix="mpnet.",
    sizes=_sizes(vocab_size=30527) | {"type_vocab_size": Size((), 0)},
    reads_padding_id=False,
    buckets=Buckets("encoder.relative_attention_bias.weight", Size(("relative_attention_num_buckets",), 32)),
    names=Names(
        query="attention.attn.q",
        key="attention.attn.k",
        value="attention.attn.v",
        attention_output="attention.attn.o",
        attention_norm="attention.LayerNorm",
    ),
)
DISTILBERT = Family(
    model_type="distilbert",
    class_name="DistilBert",
    prefix="distilbert.",
    sizes=_sizes()
    | {
        "hidden_size": Size(("dim", "hidden_size"), 768),
        "embedding_size": Size(("dim", "hidden_size"), 768),
        "num_hidden_layers": Size(("n_layers", "num_hidden_layers"), 6),
        "num_attention_heads": Size(("n_heads", "num_attention_heads"), 12),
        "intermediate_size": Size(("hidden_dim",), 3072),
        "type_vocab_size": Size((), 0),
    },
    heads=_heads(Head("classifier", Dense("pre_classifier", "relu"))),
    masked=MaskedHead("vocab_transform", "vocab_layer_norm", "vocab_projector", "vocab_projector.bias"),
    unused=("vocab_", "pre_classifier.", "classifier.", "qa_outputs."),
    activation="activation",
    layer_norm_eps=None,
    pooler=None,
    names=Names(
        layers="transformer.layer",
        query="attention.q_lin",
        key="attention.k_lin",
        value="attention.v_lin",
        attention_output="attention.out_lin",
        attention_norm="sa_layer_norm",
        intermediate="ffn.lin1",
        output="ffn.lin2",
        output_norm="output_layer_norm",
    ),
)
ELECTRA = Family(
    model_type="electra",
    class_name="Electra",
    prefix="electra.",
    sizes=_sizes(hidden_size=256, embedding_size=128, num_attention_heads=4, intermediate_size=1024),
    heads=_heads(Head("classifier.out_proj", Dense("classifier.dense", "gelu"))),
    masked=MaskedHead(
        "generator_predictions.dense",
        "generator_predictions.LayerNorm",
        "generator_lm_head",
        "generator_lm_head.bias",
        "gelu",
    ),
    unused=("generator_", "discriminator_predictions.", "sequence_summary.", "classifier.", "qa_outputs."),
    pooler=None,
)
ALBERT = Family(
    model_type="albert",
    class_name="Albert",
    prefix="albert.",
    sizes=_sizes(
        vocab_size=30000, hidden_size=4096, embedding_size=128, num_attention_heads=64, intermediate_size=16384
    ),
    heads=_heads(Head("classifier", Dense("pooler", "tanh"))),
    masked=MaskedHead("predictions.dense", "predictions.LayerNorm", "predictions.decoder", "predictions.bias"),
    unused=("pooler.", "predictions.", "sop_classifier.", "classifier.", "qa_outputs."),
    default_activation="gelu_new",
    pooler=Dense("pooler", "tanh"),
    names=Names(
        layers="encoder.albert_layer_groups",
        query="attention.query",
        key="attention.key",
        value="attention.value",
        attention_output="attention.dense",
        attention_norm="attention.LayerNorm",
        intermediate="ffn",
        output="ffn_output",
        output_norm="full_layer_layer_norm",
        projection="encoder.embedding_hidden_mapping_in",
    ),
    groups=Groups(Size(("num_hidden_groups",), 1), Size(("inner_group_num",), 1), "albert_layers"),
    always_projects=True,
)
_MODERN_TRANSFORM = Transform("head.dense", "head.norm", ("classifier_activation", "gelu"))
MODERNBERT = Family(
    model_type="modernbert",
    class_name="ModernBert",
    prefix="model.",
    sizes=_sizes(vocab_size=50368, num_hidden_layers=22, intermediate_size=1152, max_position_embeddings=8192)
    | {"type_vocab_size": Size((), 0)},
    heads={
        SEQUENCE: Head(
            "classifier",
            transform=_MODERN_TRANSFORM,
            pooling=("classifier_pooling", {"cls": "first", "mean": "mean"}),
        ),
        TOKEN: Head("classifier", transform=_MODERN_TRANSFORM),
        QUESTION: Head("classifier", transform=_MODERN_TRANSFORM),
    },
    masked=MaskedHead("head.dense", "head.norm", "decoder", "decoder.bias", _MODERN_TRANSFORM.activation),
    unused=("head.", "decoder.", "classifier."),
    activation="hidden_activation",
    layer_norm_eps="norm_eps",
    default_layer_norm_eps=1e-5,
    pooler=None,
    names=Names(
        layers="layers",
        word="embeddings.tok_embeddings",
        norm="embeddings.norm",
        query_key_value="attn.Wqkv",
        attention_output="attn.Wo",
        attention_norm="attn_norm",
        intermediate="mlp.Wi",
        factor="mlp.Wi",
        output="mlp.Wo",
        output_norm="mlp_norm",
        last_norm="final_norm",
    ),
    norms_before=True,
    first_norm=False,
    angles=(
        Angles("full_attention", "global_rope_theta", 160_000.0),
        Angles("sliding_attention", "local_rope_theta", 10_000.0),
    ),
    local=Local(Size(("local_attention",), 128), "layer_types", Size(("global_attn_every_n_layers",), 3)),
    position_table=False,
    biases={
        "attention": ("attention_bias", False),
        "intermediate": ("mlp_bias", False),
        "output": ("mlp_bias", False),
        "norm": ("norm_bias", False),
        "head": ("classifier_bias", False),
        "decoder": ("decoder_bias", True),
    },
)
_ROTARY_NAMES = Names(
    layers="layers",
    query="self_attn.q_proj",
    key="self_attn.k_proj",
    value="self_attn.v_proj",
    attention_output="self_attn.o_proj",
    attention_norm="post_attention_layernorm",
    intermediate="mlp.gate_proj",
    factor="mlp.up_proj",
    output="mlp.down_proj",
    output_norm="post_mlp_layernorm",
)
NOMIC_BERT = BERT._replace(
    model_type="nomic_bert",
    class_name="NomicBert",
    prefix="nomic_bert.",
    sizes=_sizes(vocab_size=30528, max_position_embeddings=2048),
    heads={SEQUENCE: Head("classifier", Dense("pooler.dense", "tanh", inside=True)), TOKEN: Head("classifier")},
    masked=BERT.masked._replace(norm="cls.predictions.transform.layer_norm"),
    unused=("pooler.", "cls.", "classifier."),
    default_activation="silu",
    pooler=None,
    names=_ROTARY_NAMES,
    angles=(Angles(None, "rope_theta", 1000.0),),
    position_table=False,
    biases={"attention": False, "intermediate": False, "output": False},
)
NOMIC_BERT_PUBLISHED = NOMIC_BERT._replace(  # with code in its own folder
    prefix="bert.",
    sizes={
        "vocab_size": Size(("vocab_size",), 30528),
        "hidden_size": Size(("n_embd",), 768),
        "num_hidden_layers": Size(("n_layer",), 12),
        "num_attention_heads": Size(("n_head",), 12),
        "intermediate_size": Size(("n_inner",), 3072),
        "max_position_embeddings": Size(("n_positions",), 2048),
        "type_vocab_size": Size(("type_vocab_size",), 2),
        "embedding_size": Size(("n_embd",), 768),
    },
    heads={SEQUENCE: NOMIC_BERT.heads[SEQUENCE]},
    masked=BERT.masked._replace(bias="cls.predictions.decoder.bias"),
    activation="activation_function",
    default_activation="swiglu",
    activations={"swiglu": "silu", "geglu": "gelu"},
    layer_norm_eps="layer_norm_epsilon",
    names=Names(
        norm="emb_ln",
        layers="encoder.layers",
        query_key_value="attn.Wqkv",
        attention_output="attn.out_proj",
        attention_norm="norm1",
        intermediate="mlp.fc12",
        factor="mlp.fc11",
        output="mlp.fc2",
        output_norm="norm2",
    ),
    angles=(Angles(None, "rotary_emb_base", 1000.0),),
    only={
        "prenorm": False,
        "use_rms_norm": False,
        "parallel_block": False,
        "rotary_emb_fraction": 1.0,
        "rotary_emb_interleaved": False,
        "rotary_emb_scale_base": None,
        "rotary_scaling_factor": None,
        "qkv_proj_bias": False,
        "mlp_fc1_bias": False,
        "mlp_fc2_bias": False,
        "num_experts": 0,
    },
)
GTE = BERT._replace(
    model_type="gte",
    class_name="Gte",
    prefix="gte.",
    sizes=_sizes(vocab_size=250048, max_position_embeddings=8192) | {"type_vocab_size": Size(("type_vocab_size",), 1, 0)},
    heads=NOMIC_BERT.heads,
    masked=MaskedHead("lm_head.dense", "lm_head.layer_norm", "lm_head.decoder", "lm_head.decoder.bias", "gelu"),
    unused=("pooler.", "lm_head.", "classifier."),
    pooler=None,
    names=_ROTARY_NAMES,
    angles=(Angles(None, "rope_theta", 160_000.0),),
    position_table=False,
    biases={"intermediate": False},
)
GTE_PUBLISHED = GTE._replace(
    published=True,
    model_type="new",
    class_name="New",
    prefix="new.",
    sizes=GTE.sizes | {"vocab_size": Size(("vocab_size",), 30528), "max_position_embeddings": Size(("max_position_embeddings",), 2048)},
    masked=GTE.masked._replace(norm="lm_head.norm"),
    names=Names(
        query_key_value="attention.qkv_proj",
        attention_output="attention.o_proj",
        attention_norm="attn_ln",
        intermediate="mlp.up_gate_proj",
        factor="mlp.up_gate_proj",
        factor_first=True,
        output="mlp.down_proj",
        output_norm="mlp_ln",
    ),
    angles=(Angles(None, "rope_theta", 10_000.0),),
    only={"position_embedding_type": "rope", "layer_norm_type": "layer_norm", "pack_qkv": True, "logn_attention_scale": False},
)
JINA_V3 = XLM_ROBERTA._replace(
    model_type="jina_embeddings_v3",
    class_name="JinaEmbeddingsV3",
    sizes=_sizes(
        vocab_size=250002,
        hidden_size=1024,
        num_hidden_layers=24,
        num_attention_heads=16,
        intermediate_size=4096,
        max_position_embeddings=8194,
        type_vocab_size=1,
    ),
    default_layer_norm_eps=1e-5,
    padding_id=None,
    names=_ROTARY_NAMES._replace(intermediate="mlp.fc1", factor=None, output="mlp.fc2"),
    angles=(Angles(None, "rope_theta", 20_000.0),),
    position_table=False,
)
_FLASH_NAMES = Names(
    norm="emb_ln",
    layers="encoder.layers",
    query_key_value="mixer.Wqkv",
    attention_output="mixer.out_proj",
    attention_norm="norm1",
    intermediate="mlp.fc1",
    output="mlp.fc2",
    output_norm="norm2",
)
XLM_ROBERTA_FLASH = XLM_ROBERTA._replace(published=True, names=_FLASH_NAMES)
JINA_V3_PUBLISHED = JINA_V3._replace(
    published=True,
    model_type="xlm-roberta",
    class_name="XLMRoberta",
    names=_FLASH_NAMES,
    angles=(Angles(None, "rotary_emb_base", 10_000.0),),
    only={"position_embedding_type": "rotary"},
)
JINA_BERT = BERT._replace(  # jina-embeddings-v2
    published=True,
    class_name="JinaBert",
    masked=BERT.masked._replace(activation=("hidden_act", "gelu")),
    activation="feed_forward_type",
    default_activation="original",
    activations={"geglu": "gelu", "reglu": "relu"},
    slopes=True,
    names=Names(
        intermediate="mlp.gated_layers", factor="mlp.gated_layers", output="mlp.wo", output_norm="mlp.layernorm"
    ),
    position_table=False,
    biases={"intermediate": False},
    only={"position_embedding_type": "alibi"},
)
DEBERTA_V2 = Family(
    model_type="deberta-v2",
    class_name="DebertaV2",
    prefix="deberta.",
    sizes=_sizes(
        vocab_size=128100,
        hidden_size=1536,
        num_hidden_layers=24,
        num_attention_heads=24,
        intermediate_size=6144,
        type_vocab_size=0,
    )
    | {"embedding_size": Size(("hidden_size", "embedding_size"), 1536), "type_vocab_size": Size(("type_vocab_size",), 0, 0)},
    heads=_heads(Head("classifier", Dense("pooler.dense", "gelu", "pooler_hidden_act"))),
    masked=MaskedHead(
        "cls.predictions.transform.dense",
        "cls.predictions.transform.LayerNorm",
        "cls.predictions.decoder",
        "cls.predictions.bias",
    ),
    new_masked=MaskedHead(
        "lm_predictions.lm_head.dense",
        "lm_predictions.lm_head.LayerNorm",
        "lm_predictions.lm_head.decoder",
        "lm_predictions.lm_head.bias",
        always_tied=True,
    ),
    unused=(
        "pooler.",
        "cls.",
        "lm_predictions.",
        "mask_predictions.",
        "classifier.",
        "qa_outputs.",
        "embeddings.position_embeddings.",
        "encoder.LayerNorm.",
    ),
    default_layer_norm_eps=1e-7,
    refused=(("conv_kernel_size", 0, "a convolution beside the first layer"),),
    optional_positions=True,
    disentangled=Disentangled(),
    pooler=None,
    names=Names(query="attention.self.query_proj", key="attention.self.key_proj", value="attention.self.value_proj"),
)
DEBERTA = DEBERTA_V2._replace(
    model_type="deberta",
    class_name="Deberta",
    sizes=_sizes(vocab_size=50265)
    | {"embedding_size": Size(("hidden_size", "embedding_size"), 768), "type_vocab_size": Size(("type_vocab_size",), 0, 0)},
    refused=(("talking_head", False, "products across attention heads"),),
    disentangled=Disentangled(
        norm=None, key="attention.self.pos_proj", query="attention.self.pos_q_proj", key_bias=False, chooses=False
    ),
    names=Names(
        query_key_value="attention.self.in_proj",
        by_head=True,
        query_bias="attention.self.q_bias",
        value_bias="attention.self.v_bias",
    ),
)
HUB_DEBERTA = DEBERTA_V2._replace(  # classes of PyTorchModelHubMixin: an encoder that config.json names, and one layer
    published=True, class_name="HubDebertaV2", prefix="model.", heads={SEQUENCE: Head("fc")}, unused=("fc.",)
)
_DEBERTA_V3 = {
    "model_type": "deberta-v2",
    "architectures": ["HubDebertaV2ForSequenceClassification"],
    "vocab_size": 128100,
    "hidden_size": 768,
    "num_hidden_layers": 12,
    "num_attention_heads": 12,
    "intermediate_size": 3072,
    "type_vocab_size": 0,
    "relative_attention": True,
    "position_buckets": 256,
    "norm_rel_ebd": "layer_norm",
    "share_att_key": True,
    "pos_att_type": "p2c|c2p",
    "max_relative_positions": -1,
    "position_biased_input": False,
}
BASE_MODELS: dict[str, dict[str, Any]] = {  # what config.json of encoders has that others name as theirs
    "microsoft/deberta-v3-xsmall": _DEBERTA_V3 | {"hidden_size": 384, "num_attention_heads": 6, "intermediate_size": 1536},
    "microsoft/deberta-v3-small": _DEBERTA_V3 | {"num_hidden_layers": 6},
    "microsoft/deberta-v3-base": _DEBERTA_V3,
    "microsoft/deberta-v3-large": _DEBERTA_V3
    | {"hidden_size": 1024, "num_hidden_layers": 24, "num_attention_heads": 16, "intermediate_size": 4096},
    "microsoft/mdeberta-v3-base": _DEBERTA_V3 | {"vocab_size": 251000},
}


def _two_thirds(size: int) -> int:
    """Numbers between the two products of NeoBERT's gated networks, which have as many weights as two of that size."""
    return 8 * -(-int(2 * size / 3) // 8)


NEOBERT = Family(
    published=True,
    model_type="neobert",
    class_name="NeoBERT",
    prefix="model.",
    sizes=_sizes(num_hidden_layers=28)
    | {
        "intermediate_size": Size(("intermediate_size",), 3072, made=_two_thirds),
        "max_position_embeddings": Size(("max_length",), 1024),
        "type_vocab_size": Size((), 0),
    },
    heads={SEQUENCE: Head("classifier", Dense("dense", "tanh"))},
    masked=MaskedHead(None, None, "decoder", "decoder.bias", never_tied=True),
    unused=("decoder.", "dense.", "classifier."),
    activation=None,
    default_activation="silu",
    layer_norm_eps="norm_eps",
    default_layer_norm_eps=1e-6,
    pooler=None,
    names=Names(
        layers="transformer_encoder",
        word="encoder",
        norm=None,
        query_key_value="qkv",
        by_head=True,
        neighbours=True,
        attention_output="wo",
        attention_norm="attention_norm",
        intermediate="ffn.w12",
        factor="ffn.w12",
        output="ffn.w3",
        output_norm="ffn_norm",
        last_norm="layer_norm",
    ),
    norms_before=True,
    rms_norms=True,
    angles=(Angles(None, None, 10_000.0),),
    position_table=False,
    biases={"attention": False, "intermediate": False, "output": False},
)
_DECODER_NAMES = _ROTARY_NAMES._replace(
    word="embed_tokens",
    norm=None,
    attention_norm="input_layernorm",
    output_norm="post_attention_layernorm",
    last_norm="norm",
)
EUROBERT = Family(
    model_type="eurobert",
    class_name="EuroBert",
    prefix="model.",
    sizes=_sizes(vocab_size=128256, max_position_embeddings=8192) | {"type_vocab_size": Size((), 0)},
    heads={
        SEQUENCE: Head(
            "classifier",
            transform=Transform("dense", None, "gelu"),
            pooling=("classifier_pooling", {"late": "mean", "bos": "first", "mean": "mean"}),
            late="late",
        ),
        TOKEN: Head("classifier"),
    },
    masked=MaskedHead(None, None, "lm_head", "lm_head.bias"),
    unused=("lm_head.", "dense.", "classifier."),
    default_activation="silu",
    layer_norm_eps="rms_norm_eps",
    default_layer_norm_eps=1e-5,
    pooler=None,
    names=_DECODER_NAMES,
    norms_before=True,
    rms_norms=True,
    key_value_heads=Size(("num_key_value_heads",), 0),
    ties=False,
    angles=(Angles(None, "rope_theta", 10_000.0),),
    position_table=False,
    biases={
        "attention": ("attention_bias", False),
        "intermediate": ("mlp_bias", False),
        "output": ("mlp_bias", False),
        "decoder": ("mlp_bias", False),
    },
)
GEMMA_3 = EUROBERT._replace(  # EmbeddingGemma
    model_type="gemma3_text",
    class_name="Gemma3Text",
    sizes=_sizes(
        vocab_size=262208,
        hidden_size=2304,
        num_hidden_layers=26,
        num_attention_heads=8,
        intermediate_size=9216,
        max_position_embeddings=131072,
    )
    | {"type_vocab_size": Size((), 0)},
    heads={},
    unused=("lm_head.",),
    activation="hidden_activation",
    default_activation="gelu_pytorch_tanh",
    default_layer_norm_eps=1e-6,
    names=_DECODER_NAMES._replace(
        output_norm="pre_feedforward_layernorm",
        query_norm="self_attn.q_norm",
        key_norm="self_attn.k_norm",
        attention_result_norm="post_attention_layernorm",
        output_result_norm="post_feedforward_layernorm",
    ),
    norms_around=True,
    norms_from_one=True,
    scales_words=True,
    key_value_heads=Size(("num_key_value_heads",), 4),
    head_dim=256,
    ties=True,
    required=(("use_bidirectional_attention", True, "tokens that see those before them alone"),),
    refused=(("attn_logit_softcapping", None, "scores between limits"),),
    angles=(
        Angles("full_attention", "rope_theta", 1_000_000.0),
        Angles("sliding_attention", "rope_local_base_freq", 10_000.0, old_rule=False),
    ),
    local=Local(Size(("sliding_window",), 4096), "layer_types", Size(("sliding_window_pattern",), 6), last=True),
    biases={"attention": ("attention_bias", False), "intermediate": False, "output": False},
)
FAMILIES = {
    family.model_type: family
    for family in (
        *(BERT, ROBERTA, XLM_ROBERTA, CAMEMBERT, DISTILBERT, ELECTRA, ALBERT, MPNET),
        *(MODERNBERT, NOMIC_BERT, GTE, GTE_PUBLISHED, JINA_V3, DEBERTA_V2),
        *(ROBERTA_PRELAYERNORM, MEGATRON_BERT, ERNIE, DEBERTA, NEOBERT, EUROBERT, GEMMA_3),
    )
}
NOT_RUN = {  # families whose checkpoints people have, and what of them the encoder or a head can't do
    "bart": "a decoder behind the encoder",
    "t5": "a decoder behind the encoder",
    "span-marker": "a head that scores spans of words",
}
PUBLISHED = (  # folders whose config.json has that key with that value, or any, have other tables
    ("nomic_bert", "n_embd", ANY := object(), NOMIC_BERT_PUBLISHED),
    ("bert", "position_embedding_type", "alibi", JINA_BERT),
    ("xlm-roberta", "position_embedding_type", "rotary", JINA_V3_PUBLISHED),
    ("xlm-roberta", "use_flash_attn", ANY, XLM_ROBERTA_FLASH),
    ("deberta-v2", "base_model", ANY, HUB_DEBERTA),
)

SAVED = {  # transformers gives tensors these families' names when it saves them, beside a config.json of its own
    "nomic_bert": NOMIC_BERT_PUBLISHED,
    "gte": GTE_PUBLISHED,
    "jina_embeddings_v3": JINA_V3_PUBLISHED,
}


def unwrapped(name: str, own: str = "") -> tuple[str, set[str]]:
    """A tensor's name without what training puts into it, and those words; `own` is the family's prefix."""
    *parts, last = name.split(".")
    inner = [part for part in parts if f"{part}." not in WRAPPERS or f"{part}." == AROUND_ALL]
    found = {f"{part}." for part in parts} & (WRAPPERS.keys() - {AROUND_ALL})
    name = ".".join([*inner, last])
    around = 0
    while name.startswith(AROUND_ALL):
        around += 1
        name = name.removeprefix(AROUND_ALL)
    if around > (own == AROUND_ALL):
        found.add(AROUND_ALL)
    return name, found
