#!/usr/bin/env python3
"""The half of reference_uses.py that needs torch and transformers: it makes a checkpoint, or answers by a pipeline.

    python3 tools/diff/reference_oracle.py make USE VOCABULARY FOLDER
    python3 tools/diff/reference_oracle.py answer USE FOLDER < items.jsonl > answers.jsonl

The checkpoints have the shape and the files of the published ones, and random weights: large enough in the encoder that
tokens differ, and in the head that one label or span stands out, as in a trained model.
"""

import json
import shutil
import sys
from pathlib import Path

import torch
import transformers

BERT_BASE = {"hidden_size": 768, "num_hidden_layers": 12, "num_attention_heads": 12, "intermediate_size": 3072}
SPREAD = 4.0  # standard deviation that the logits shall have
FINBERT = ["positive", "negative", "neutral"]
TURKISH = ["B-LOC", "B-ORG", "B-PER", "I-LOC", "I-ORG", "I-PER", "O"]


def labels(names):
    return {"id2label": dict(enumerate(names)), "label2id": {name: i for i, name in enumerate(names)}}


def finbert():
    """ProsusAI/finbert: 3 labels."""
    config = transformers.BertConfig(vocab_size=30522, initializer_range=0.04, **labels(FINBERT), **BERT_BASE)
    return transformers.BertForSequenceClassification(config)


def turkish():
    """savasy/bert-base-turkish-ner-cased: 7 labels."""
    config = transformers.BertConfig(vocab_size=32000, initializer_range=0.04, **labels(TURKISH), **BERT_BASE)
    return transformers.BertForTokenClassification(config)


def squad():
    """deepset/roberta-base-squad2: positions from 2 on, so 514 of them."""
    config = transformers.RobertaConfig(vocab_size=50265, max_position_embeddings=514, type_vocab_size=1,
                                        layer_norm_eps=1e-5, initializer_range=0.04, **BERT_BASE)
    return transformers.RobertaForQuestionAnswering(config)


def albert(head, **more):
    """albert/albert-base-v2 with a head of its own: one layer's weights run twelve times."""
    config = transformers.AlbertConfig(vocab_size=30000, embedding_size=128, initializer_range=0.04, **BERT_BASE, **more)
    return getattr(transformers, f"AlbertFor{head}")(config)


def mpnet():
    """sentence-transformers/all-mpnet-base-v2, with 3 labels."""
    config = transformers.MPNetConfig(max_position_embeddings=514, layer_norm_eps=1e-5, initializer_range=0.04,
                                      **labels(FINBERT), **BERT_BASE)
    return transformers.MPNetForSequenceClassification(config)


def deberta():
    """microsoft/deberta-v3-base, with 7 labels of tokens."""
    config = transformers.DebertaV2Config(
        vocab_size=128100, relative_attention=True, position_buckets=256, norm_rel_ebd="layer_norm", share_att_key=True,
        pos_att_type=["p2c", "c2p"], position_biased_input=False, type_vocab_size=0, initializer_range=0.04,
        **labels(TURKISH), **BERT_BASE)
    return transformers.DebertaV2ForTokenClassification(config)


def modernbert():
    """answerdotai/ModernBERT-base, with 3 labels."""
    return transformers.ModernBertForSequenceClassification(transformers.ModernBertConfig(
        pad_token_id=1, bos_token_id=0, cls_token_id=0, eos_token_id=2, sep_token_id=2, initializer_range=0.04,
        **labels(FINBERT)))


def nomic():
    """nomic-ai/nomic-embed-text-v1.5, with 3 labels."""
    config = transformers.NomicBertConfig(vocab_size=30528, max_position_embeddings=8192, initializer_range=0.04,
                                          **labels(FINBERT), **BERT_BASE)
    return transformers.NomicBertForSequenceClassification(config)


def spread_head(model):
    """Scales the head so that its logits differ as a trained model's do."""
    head = model.classifier if hasattr(model, "classifier") else model.qa_outputs
    head = getattr(head, "out_proj", head)
    ids = torch.randint(1000, 20000, (16, 64), generator=torch.Generator().manual_seed(3))
    with torch.no_grad():
        output = model(ids)
        found = output.logits if hasattr(output, "logits") else torch.stack([output.start_logits, output.end_logits])
        head.weight *= SPREAD / found.std()


def save_finbert(model, folder):
    """Weights in today's form of torch.save only, a vocabulary, and a config without a tokenizer class."""
    torch.save(model.state_dict(), folder / "pytorch_model.bin")
    (folder / "tokenizer_config.json").write_text('{"do_lower_case": true}')


def save_turkish(model, folder):
    """All of it as transformers 2 wrote it: torch.save's old form, gamma and beta, labels under old keys."""
    old = {name.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta"): value
           for name, value in model.state_dict().items()}
    torch.save(old, folder / "pytorch_model.bin", _use_new_zipfile_serialization=False)
    (folder / "tokenizer_config.json").write_text('{"do_lower_case": false, "max_len": 512}')
    path = folder / "config.json"
    config = json.loads(path.read_text())
    for new in ("transformers_version", "dtype", "torch_dtype", "use_cache", "position_embedding_type",
                "classifier_dropout", "tie_word_embeddings", "is_decoder", "add_cross_attention"):
        config.pop(new, None)
    config |= {"_num_labels": 7, "directionality": "bidi", "do_sample": False, "eos_token_ids": None, "output_past": True,
               "pruned_heads": {}, "torchscript": False, "use_bfloat16": False, "pooler_type": "first_token_transform"}
    path.write_text(json.dumps(config, indent=2))


def save_squad(model, folder):
    """The encoder and its head in safetensors; vocab.json and merges.txt, no tokenizer.json."""
    model.save_pretrained(folder)
    (folder / "tokenizer_config.json").write_text(
        '{"do_lower_case": false, "model_max_length": 512, "full_tokenizer_file": null}')


def save_albert(model, folder):
    """The encoder and its head in safetensors; spiece.model, no tokenizer.json."""
    model.save_pretrained(folder)
    (folder / "tokenizer_config.json").write_text('{"model_max_length": 512}')


def save_mpnet(model, folder):
    """MPNet's special tokens around the words of BERT."""
    model.save_pretrained(folder)
    words = (folder / "vocab.txt").read_text(encoding="utf-8")
    (folder / "vocab.txt").write_text("<s>\n<pad>\n</s>\n<unk>\n" + words.rstrip("\n") + "\n<mask>\n", encoding="utf-8")
    (folder / "tokenizer_config.json").write_text(
        '{"do_lower_case": true, "model_max_length": 512, "tokenizer_class": "MPNetTokenizer"}')


def save_deberta(model, folder):
    """A SentencePiece model under the name that the family has for it."""
    model.save_pretrained(folder)
    (folder / "spiece.model").rename(folder / "spm.model")
    (folder / "tokenizer_config.json").write_text(
        '{"model_max_length": 512, "tokenizer_class": "DebertaV2Tokenizer", "unk_token": "<unk>", "pad_token": "<pad>"}')


def save_modernbert(model, folder):
    """A tokenizer.json: byte-level BPE in BERT's template."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

    model.save_pretrained(folder)
    tokens = {"cls": "<s>", "pad": "<pad>", "sep": "</s>", "unk": "<unk>"}
    engine = Tokenizer(models.BPE.from_file(str(folder / "vocab.json"), str(folder / "merges.txt")))
    engine.normalizer = normalizers.NFC()
    engine.pre_tokenizer, engine.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    engine.add_special_tokens([*tokens.values(), AddedToken("<mask>", lstrip=True, special=True)])
    engine.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", pair="<s> $A </s> $B </s>", special_tokens=[("<s>", 0), ("</s>", 2)])
    engine.save(str(folder / "tokenizer.json"))
    options = {f"{name}_token": token for name, token in {**tokens, "mask": "<mask>"}.items()}
    (folder / "tokenizer_config.json").write_text(json.dumps(
        {**options, "model_max_length": 8192, "tokenizer_class": "PreTrainedTokenizerFast",
         "model_input_names": ["input_ids", "attention_mask"]}))


def save_nomic(model, folder):
    """BERT's tokenizer for longer texts."""
    model.save_pretrained(folder)
    (folder / "tokenizer_config.json").write_text(
        '{"do_lower_case": true, "model_max_length": 8192, "tokenizer_class": "BertTokenizer"}')


USES = {  # how to make it, how to save it, the files of its vocabulary, the task of its pipeline
    "finbert": (finbert, save_finbert, ["vocab.txt"], "text-classification"),
    "turkish": (turkish, save_turkish, ["vocab.txt"], "ner"),
    "squad": (squad, save_squad, ["vocab.json", "merges.txt"], "question-answering"),
    "albert-classify": (lambda: albert("SequenceClassification", **labels(FINBERT)), save_albert, ["spiece.model"],
                        "text-classification"),
    "albert-ner": (lambda: albert("TokenClassification", **labels(TURKISH)), save_albert, ["spiece.model"], "ner"),
    "albert-qa": (lambda: albert("QuestionAnswering"), save_albert, ["spiece.model"], "question-answering"),
    "mpnet": (mpnet, save_mpnet, ["vocab.txt"], "text-classification"),
    "deberta": (deberta, save_deberta, ["spiece.model"], "ner"),
    "modernbert": (modernbert, save_modernbert, ["vocab.json", "merges.txt"], "text-classification"),
    "nomic": (nomic, save_nomic, ["vocab.txt"], "text-classification"),
}
LONGEST = {"modernbert": 8192, "nomic": 8192}  # tokens; of the others 512


def make(use, vocabulary, folder):
    """The checkpoint in `folder`, with the vocabulary's files."""
    build, save, files, _ = USES[use]
    torch.manual_seed(1)
    model = build().eval()
    spread_head(model)
    folder.mkdir(parents=True)
    for name in files:
        shutil.copy(vocabulary / name, folder)
    model.config.architectures = [type(model).__name__]
    model.config.save_pretrained(folder)
    save(model, folder)


def fitting(tokenizer, item, longest):
    """The item with its last text halved until it fits the model: what the logits are compared on."""
    key = "context" if "context" in item else "text"
    texts = {"text": item.get("question", item.get("text"))}
    if key == "context":
        texts["text_pair"] = item["context"]
    last = list(texts)[-1]
    while len(tokenizer(**texts)["input_ids"]) > longest:
        texts[last] = texts[last][: len(texts[last]) // 2]
    return texts


def logits_of(model, tokenizer, texts):
    """Rows of logits, one for each thing that the head reads."""
    with torch.no_grad():
        output = model(**tokenizer(**texts, return_tensors="pt"))
    if hasattr(output, "start_logits"):
        return torch.stack([output.start_logits[0], output.end_logits[0]], 1).tolist()
    return (output.logits[0] if output.logits.dim() == 3 else output.logits).tolist()


def answer(use, folder):
    """A line for each line of standard input: what the pipeline says, and logits with the texts they are of."""
    task, longest = USES[use][3], LONGEST.get(use, 512)
    # Without a tokenizer.json both versions make the fast tokenizer of the vocabulary's files.
    run = transformers.pipeline(task, model=str(folder), tokenizer=str(folder), device="cpu", dtype=torch.float32)
    for line in sys.stdin:
        item = json.loads(line)
        if task == "question-answering":
            found = run(**item, top_k=3)
        elif task == "ner":
            found = run(item["text"])
        else:
            found = run(item["text"], top_k=None, truncation=True, max_length=longest)
        found = found if isinstance(found, list) else [found]
        found = [{key: value.item() if hasattr(value, "item") else value for key, value in each.items()} for each in found]
        texts = fitting(run.tokenizer, item, longest)
        print(json.dumps({"found": found, "texts": texts, "logits": logits_of(run.model, run.tokenizer, texts)}))


if __name__ == "__main__":
    if sys.argv[1] == "make":
        make(sys.argv[2], Path(sys.argv[3]), Path(sys.argv[4]))
    else:
        answer(sys.argv[2], Path(sys.argv[3]))
