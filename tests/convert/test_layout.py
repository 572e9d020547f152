"""Where each number of a weight lies, and how int8 values are made: tools/format.md section 5 one by one."""

from __future__ import annotations

import unittest

import folders  # noqa: F401  (puts tools/ on the path)
import numpy as np
from bertha_convert import layout
from bertha_convert.errors import ConvertError

SHAPES = [(1, 1), (16, 64), (17, 65), (5, 36), (33, 3), (48, 128)]


def quantised_one_by_one(row: np.ndarray) -> tuple[list[int], np.float32]:
    """The rule of format.md for one row, in float32 scalars."""
    largest = np.float32(max(abs(value) for value in row))
    if largest < np.float32(2.0**-100):
        return [0] * len(row), np.float32(0)
    inverse = np.float32(127) / largest
    return [max(-127, min(127, int(np.rint(np.float32(value * inverse))))) for value in row], largest / np.float32(127)


def in_blocks(weights: np.ndarray, rows: int = 16) -> layout.Rows:
    """A matrix that comes so many rows at a time."""
    return layout.Rows(*weights.shape, lambda: (weights[at : at + rows] for at in range(0, len(weights), rows)))


def values_of(tensors: layout.Tensors) -> dict[str, np.ndarray]:
    """The values of tensors, their types and shapes checked."""
    result = {}
    for name, tensor in tensors.items():
        result[name] = layout.values_of(tensor)
        assert (result[name].dtype.name, result[name].shape) == tensor[:2], name
    return result


class Layout(unittest.TestCase):
    def setUp(self) -> None:
        self.rng = np.random.default_rng(1)

    def test_float32_panels_hold_w_16p_plus_j_k_at_p_k_j(self) -> None:
        for outputs, inputs in SHAPES:
            weights = self.rng.normal(size=(outputs, inputs)).astype(np.float32)
            panels = layout.float32_panels(weights)
            self.assertEqual(panels.shape, (-(-outputs // 16), inputs, 16))
            self.assertTrue(panels.flags.c_contiguous)
            for p, k, j in np.ndindex(panels.shape):
                expected = weights[16 * p + j, k] if 16 * p + j < outputs else 0
                self.assertEqual(panels[p, k, j], expected)

    def test_int8_panels_hold_q_16p_plus_j_4k_plus_e_at_p_k_j_e(self) -> None:
        for outputs, inputs in SHAPES:
            values = self.rng.integers(-127, 128, size=(outputs, inputs)).astype(np.int8)
            panels = layout.int8_panels(values)
            self.assertEqual(panels.shape, (-(-outputs // 16), -(-inputs // 64) * 16, 16, 4))
            for p, k, j, e in np.ndindex(panels.shape):
                inside = 16 * p + j < outputs and 4 * k + e < inputs
                self.assertEqual(panels[p, k, j, e], values[16 * p + j, 4 * k + e] if inside else 0)

    def test_bfloat16_panels_hold_w_16p_plus_j_2k_plus_e_at_p_k_j_e(self) -> None:
        for outputs, inputs in [*SHAPES, (16, 27), (2, 32), (3, 33)]:
            values = self.rng.integers(0, 2**16, size=(outputs, inputs)).astype(np.uint16)
            panels = layout.bfloat16_panels(values)
            self.assertEqual(panels.shape, (-(-outputs // 16), -(-inputs // 32) * 16, 16, 2))
            for p, k, j, e in np.ndindex(panels.shape):
                inside = 16 * p + j < outputs and 2 * k + e < inputs
                self.assertEqual(panels[p, k, j, e], values[16 * p + j, 2 * k + e] if inside else 0)

    def test_bfloat16_is_the_nearest_number_with_ties_to_even(self) -> None:
        lower = np.array([0, 1, 0x7FFF, 0x8000, 0x8001, 0xFFFF], np.uint32)
        upper = np.arange(0x10000, dtype=np.uint32)
        upper = upper[upper & 0x7FFF < 0x7F7F]  # the largest finite number is the last that has one above it
        values = (upper[:, None] << 16 | lower).view(np.float32)
        exact = values.astype(np.float64)
        below, above = (layout.widened((upper + step).astype(np.uint16)).astype(np.float64) for step in (0, 1))
        down, up = (np.abs(exact - side[:, None]) for side in (below, above))
        takes_below = (down < up) | ((down == up) & (upper % 2 == 0)[:, None])
        expected = np.where(takes_below, upper[:, None], upper[:, None] + 1)
        np.testing.assert_array_equal(layout.rounded("x", values), expected)
        np.testing.assert_array_equal(layout.widened(layout.rounded("x", values[:, 0])), values[:, 0])

    def test_bfloat16_refuses_what_would_become_infinity(self) -> None:
        largest = np.array([0x7F7F7FFF], np.uint32).view(np.float32)
        self.assertEqual(layout.rounded("x", largest)[0], 0x7F7F)
        with self.assertRaisesRegex(ConvertError, "weight of 'x'.*no bfloat16 number"):
            layout.rounded("x", -np.nextafter(largest, np.float32(np.inf)))

    def test_int8_values_follow_the_rule_of_the_format(self) -> None:
        rows = self.rng.normal(size=(40, 7)).astype(np.float32) * np.float32(10) ** self.rng.integers(
            -40, 38, size=(40, 1)
        )
        rows = np.vstack([rows, np.zeros((1, 7)), np.full((1, 7), 2.0**-101), np.full((1, 7), 2.0**-100)]).astype(
            np.float32
        )
        values, scales = layout.quantise_rows(rows)
        for row, found, scale in zip(rows, values, scales):
            expected, expected_scale = quantised_one_by_one(row)
            self.assertEqual(found.tolist(), expected)
            self.assertEqual(scale, expected_scale)
        self.assertEqual(scales.dtype, np.float32)
        self.assertEqual(scales[-2], 0)
        self.assertGreater(scales[-1], 0)

    def test_halves_are_rounded_to_even(self) -> None:
        values, scales = layout.quantise_rows(np.array([[127, 0.5, 1.5, 2.5, -0.5, -1.5]], dtype=np.float32))
        self.assertEqual(values.tolist(), [[127, 0, 2, 2, 0, -2]])
        self.assertEqual(scales[0], 1)

    def test_an_int8_layer_has_scales_and_sums_of_its_true_outputs(self) -> None:
        weights = self.rng.normal(size=(18, 70)).astype(np.float32)
        tensors = values_of(layout.linear("x", in_blocks(weights), np.arange(18, dtype=np.float32), "int8"))
        values, scales = layout.quantise_rows(weights)
        self.assertEqual(list(tensors), ["x.weight", "x.scale", "x.sum", "x.bias"])
        self.assertEqual(tensors["x.sum"].dtype, np.int32)
        self.assertEqual(tensors["x.sum"].tolist(), values.astype(int).sum(axis=1).tolist() + [0] * 14)
        self.assertEqual(tensors["x.scale"].tolist(), scales.tolist() + [0] * 14)

    def test_query_key_and_value_lie_attention_head_by_attention_head(self) -> None:
        heads, size, hidden = 3, 5, 15
        matrices = [self.rng.normal(size=(hidden, hidden)).astype(np.float32) for _ in range(3)]
        by_rows = [lambda rows, matrix=matrix: in_blocks(matrix, rows).blocks() for matrix in matrices]
        rows = layout.by_attention_head(by_rows, heads, hidden)
        merged = np.concatenate(list(rows.blocks()))
        self.assertEqual((rows.count, rows.width), merged.shape)
        self.assertEqual(merged.shape, (3 * 16 * heads, hidden))
        for a, m, d in np.ndindex(heads, 3, 16):
            row = merged[3 * 16 * a + 16 * m + d]
            expected = matrices[m][a * size + d] if d < size else np.zeros(hidden)
            self.assertEqual(row.tolist(), expected.tolist())

    def test_tables_and_rows_are_padded_with_zeros(self) -> None:
        values = self.rng.normal(size=(3, 17)).astype(np.float32)
        table = values_of(layout.table("t", in_blocks(values), "float32"))
        for padded, width in ((layout.rows(values), 32), (table["t.weight"], 32)):
            self.assertEqual(padded.shape, (3, width))
            self.assertEqual(padded[:, :17].tolist(), values.tolist())
            self.assertFalse(padded[:, 17:].any())
        table = values_of(layout.table("t", in_blocks(values), "bfloat16"))
        self.assertEqual((table["t.weight"].shape, table["t.weight"].dtype), ((3, 32), np.uint16))
        self.assertEqual(table["t.weight"][:, :17].tolist(), layout.rounded("t", values).tolist())
        self.assertFalse(table["t.weight"][:, 17:].any())
        table = values_of(layout.table("t", in_blocks(values), "int8"))
        self.assertEqual(table["t.weight"].shape, (3, 64))
        self.assertEqual(table["t.scale"].shape, (16,))

    def test_the_vocabulary_is_bytes_and_their_positions(self) -> None:
        tensors = values_of(layout.vocabulary(["a", "", "\u00e9\u00e9", "##x"], []))
        text, offsets = tensors["tokenizer.vocab.text"], tensors["tokenizer.vocab.offsets"]
        self.assertEqual(offsets[:5].tolist(), [0, 1, 1, 5, 8])
        self.assertEqual(text[:8].tobytes(), "a\u00e9\u00e9##x".encode())
        self.assertEqual((text.shape, offsets.shape, offsets.dtype), ((64,), (16,), np.uint32))

    def test_only_vectors_and_matrices_can_be_kept(self) -> None:
        for shape, padded in (((3,), (16,)), ((2, 3), (2, 16))):
            tensor = layout.kept("x", shape, lambda shape=shape: np.ones(shape, np.float32))
            found = layout.values_of(tensor)
            self.assertEqual((tensor.shape, found.shape, found.sum()), (padded, padded, np.prod(shape)))
            self.assertTrue(found[..., : shape[-1]].all())
        for shape in ((), (2, 2, 2), (0, 3)):
            with self.assertRaisesRegex(ConvertError, "vector or matrix"):
                layout.kept("x", shape, lambda: None)

    def test_blocks_of_any_size_give_the_same_tensors(self) -> None:
        weights, bias = self.rng.normal(size=(90, 35)).astype(np.float32), np.ones(90, np.float32)
        for precision in ("float32", "bfloat16", "int8"):
            for make in (lambda rows: layout.linear("x", rows, bias, precision), lambda rows: layout.table("x", rows, precision)):
                whole = values_of(make(in_blocks(weights, 96)))
                for rows in (16, 32, 48):
                    found = values_of(make(in_blocks(weights, rows)))
                    self.assertEqual(list(found), list(whole))
                    for name, values in whole.items():
                        np.testing.assert_array_equal(found[name], values, err_msg=f"{name} {rows}")


if __name__ == "__main__":
    unittest.main()
