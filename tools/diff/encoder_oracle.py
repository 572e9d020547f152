"""The oracles of embeddings and reranking (sentence-transformers 6.2.0), of zero-shot classification and of next sentences
(transformers 5.23.0), for pipelines_oracle.py.
"""

import torch
import transformers


def embedder(folder):
    """SentenceTransformer; of a folder that is no such, with the pooling that the options name."""
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Normalize, Pooling, Transformer

    names = {"first": "cls", "last": "lasttoken", "mean_sqrt_len": "mean_sqrt_len_tokens", "weighted_mean": "weightedmean"}
    is_plain = not (folder / "modules.json").exists()
    whole = None if is_plain else SentenceTransformer(str(folder), device="cpu")
    encoder = Transformer(str(folder)) if is_plain else whole[0]
    longest = encoder.max_seq_length

    def answer(options, item):
        encoder.max_seq_length = min(options.pop("max_length", None) or longest, longest)
        encoder._prompt_length_mapping.clear()  # which are of another max_seq_length
        pooling, cut, normalize = options.pop("pooling", None), options.pop("dimensions", None), options.pop("normalize", None)
        if options.pop("tokens", False):
            alone = SentenceTransformer(modules=[encoder, Pooling(encoder.get_embedding_dimension(), "mean")], device="cpu")
            return alone.encode(item["text"], output_value="token_embeddings", prompt=options.get("prompt", "")).tolist()
        modules = [encoder] if is_plain else list(whole)
        normalizes = isinstance(modules[-1], Normalize) if normalize is None else normalize
        if isinstance(modules[-1], Normalize):
            modules.pop()
        if pooling:
            kept = {} if is_plain else {"include_prompt": whole[1].include_prompt}
            modules[1:] = [Pooling(encoder.get_embedding_dimension(), names.get(pooling, pooling), **kept)]
        prompts = {} if is_plain else {"prompts": whole.prompts, "default_prompt_name": whole.default_prompt_name}
        model = SentenceTransformer(modules=modules, device="cpu", **prompts)
        # Cut vectors are normalised again.
        return model.encode(item["text"], truncate_dim=cut, normalize_embeddings=normalizes, **options).tolist()

    return answer


def reranker(folder):
    """CrossEncoder."""
    from sentence_transformers import CrossEncoder

    model = CrossEncoder(str(folder), device="cpu")
    longest = model.max_seq_length
    functions = {"logit": torch.nn.Identity(), "sigmoid": torch.nn.Sigmoid(), None: None}

    def answer(options, item):
        model.max_seq_length = min(options.get("max_length") or longest, longest)
        function = functions[options.get("score")]
        ranks = model.rank(item["query"], item["texts"], top_k=options.get("top_k"), activation_fn=function)
        return [{"index": one["corpus_id"], "score": float(one["score"])} for one in ranks]

    return answer


def zero_shot(folder):
    """The pipeline."""
    pipe = transformers.pipeline("zero-shot-classification", model=str(folder), device="cpu", dtype=torch.float32)
    return lambda options, item: pipe(item["text"], **options)


def next_sentence(folder):
    """The model, for which there is no pipeline."""
    model = transformers.BertForNextSentencePrediction.from_pretrained(folder).float().eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)

    def answer(options, item):
        encoded = tokenizer(item["text"], item["text_pair"], return_tensors="pt", **options)
        with torch.no_grad():
            scores = model(**encoded).logits[0].softmax(dim=-1)
        found = [{"label": label, "score": score.item()} for label, score in zip(("IsNext", "NotNext"), scores)]
        return sorted(found, key=lambda one: -one["score"])

    return answer


LOADERS = {"embed": embedder, "rerank": reranker, "zero-shot": zero_shot, "nsp": next_sentence}


def make(folder, names):
    """Folders of sentence-transformers, and models that are in no golden of their own, by name."""
    from bertha_convert.families import SEQUENCE
    from goldens.models import write_model
    from goldens.tiny_models import INFERENCE, ROBERTA, Tiny

    one = {"labels": ("LABEL_0",), "max_length": 40}
    tinies = {
        "rerank_sigmoid": Tiny("rerank_sigmoid", SEQUENCE, 1, 28, 2, 40, seed=3, **one),
        "rerank_roberta": Tiny("rerank_roberta", SEQUENCE, 1, 32, 4, 48, **one, **ROBERTA),
        "inference_roberta": Tiny("inference_roberta", SEQUENCE, 1, 32, 4, 48, labels=INFERENCE[::-1], seed=2, **ROBERTA),
    }
    for name in tinies.keys() & set(names):
        (folder / name).mkdir(parents=True)
        write_model(folder / name, tinies[name])
    if any(name == "rerank" or name.startswith("embed_") for name in names):
        from goldens.embeddings import MODELS, write_folder, write_reranker

        for name in MODELS.keys() & set(names):
            write_folder(folder / name, name)
        if "rerank" in names:
            write_reranker(folder / "rerank")
