"""The converter: Hugging Face folders in, bertha model files out (tools/format.md)."""

VERSION = "0.1.0"
FORMAT = 2
