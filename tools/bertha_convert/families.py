"""The families that are converted, as tables: the only place where they are told apart.

Names and defaults of config.json are those of configuration_*.py, tensors those of modeling_*.py in transformers 5.23.0
and 4.57.6, which agree.
"""

from __future__ import annotations

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


class Dense(NamedTuple):
    """A linear layer on the hidden state of the first token, and the activation after it."""

    name: str
    activation: str
    key: str | None = None  # of config.json, where it names another
    inside: bool = False  # of the encoder, which alone hasn't it


class Transform(NamedTuple):
    """What heads begin with in some families: a linear layer, an activation, a LayerNorm; config.json chooses the activation."""

    dense: str
    norm: str
    activation: tuple[str, str]  # its name in config.json, and the default


class Head(NamedTuple):
    """A head's last linear layer; where it doesn't read every token, also the layer before it."""

    output: str
    dense: Dense | None = None
    transform: Transform | None = None
    pooling: tuple[str, dict[str, str]] | None = None  # before `transform`: the name in config.json, modes by its values


class MaskedHead(NamedTuple):
    """A head that says which token stands behind a mask: a linear layer, its activation, a LayerNorm, and a product with
    the word table, or with a table of the head's own, and a bias for each token."""

    dense: str
    norm: str
    decoder: str
    bias: str  # its tensor, where the decoder hasn't one
    activation: str | tuple[str, str] | None = None  # None: the encoder's; a tuple: its name in config.json, and the default
    always_tied: bool = False  # whatever config.json has


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
    old_name: str
    base: float


class Local(NamedTuple):
    """Layers that see a window of keys, and others that see all."""

    window: Size  # both sides together
    kinds: str  # the list of kinds, one for each layer
    every: Size  # without it: every so many layers, from the first on, one sees all


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
    activation: str = "hidden_act"  # its name in config.json
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
FAMILIES = {
    family.model_type: family
    for family in (
        *(BERT, ROBERTA, XLM_ROBERTA, CAMEMBERT, DISTILBERT, ELECTRA, ALBERT, MPNET),
        *(MODERNBERT, NOMIC_BERT, GTE, GTE_PUBLISHED, JINA_V3, DEBERTA_V2),
        *(ROBERTA_PRELAYERNORM, MEGATRON_BERT, ERNIE, DEBERTA),
    )
}
NOT_RUN = {  # families whose checkpoints people have, and what of them the encoder or a head can't do
    "bart": "a decoder behind the encoder",
    "t5": "a decoder behind the encoder",
    "eurobert": "norms that subtract no mean (RMSNorm)",
    "neobert": "norms that subtract no mean (RMSNorm)",
    "gemma3_text": "norms that subtract no mean (RMSNorm), and keys that several attention heads share",
    "span-marker": "a head that scores spans of words",
}
PUBLISHED = (  # folders whose config.json has that key with that value, or any, have other tables
    ("nomic_bert", "n_embd", ANY := object(), NOMIC_BERT_PUBLISHED),
    ("bert", "position_embedding_type", "alibi", JINA_BERT),
    ("xlm-roberta", "position_embedding_type", "rotary", JINA_V3_PUBLISHED),
    ("xlm-roberta", "use_flash_attn", ANY, XLM_ROBERTA_FLASH),
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
