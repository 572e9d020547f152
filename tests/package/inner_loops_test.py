#!/usr/bin/env python3
"""inner_loops.py sees what it is for, and nothing else."""
import unittest

import inner_loops

LISTING = """
0000000000000000 <bertha::v0_1::kernels::avx2::tiles_f32(float const*, unsigned long)>:
   0:\tmov    %rax,-0x8(%rsp)
   5:\tvbroadcastss (%rsi),%zmm5
   b:\tvfmadd231ps SOURCE,%zmm5,%zmm29
  11:\tcmp    %r11,%r13
  14:\tjne    5 <bertha::v0_1::kernels::avx2::tiles_f32(float const*, unsigned long)+0x5>
  16:\tmov    -0x8(%rsp),%rax
  1b:\tjmp    0 <bertha::v0_1::kernels::avx2::tiles_f32(float const*, unsigned long)>

0000000000000020 <bertha::v0_1::kernels::avx2::softmax(float*)>:
  20:\tvfmadd231ps 0x8(%rsp),%zmm5,%zmm29
  26:\tjne    20 <bertha::v0_1::kernels::avx2::softmax(float*)>
"""

NEON_LISTING = """
0000000000000000 <bertha::v0_1::kernels::neon::tiles_f32(float const*, unsigned long)>:
   0:\tstr\tx0, [sp, #8]
   4:\tldr\tq5, SOURCE
   8:\tfmla\tv29.4s, v5.4s, v3.s[0]
   c:\tcmp\tx11, x13
  10:\tb.ne\t4 <bertha::v0_1::kernels::neon::tiles_f32(float const*, unsigned long)+0x4>  // b.any
  14:\tldr\tx0, [sp, #8]
  18:\tcbnz\tx1, 0 <bertha::v0_1::kernels::neon::tiles_f32(float const*, unsigned long)>
"""


class InnerLoops(unittest.TestCase):
    def test_a_loop_in_registers_is_right_whatever_is_around_it(self):
        for operand in ("%zmm3", "0x40(%rbp)"):  # without a frame, rbp points anywhere
            wrong, seen = inner_loops.look(LISTING.replace("SOURCE", operand), ["avx2"])
            self.assertEqual((wrong, seen), ([], ["avx2::tiles_f32: 1 loops, of up to 1 products"]))

    def test_an_accumulator_on_the_stack_is_told(self):
        framed = LISTING.replace("mov    %rax,-0x8(%rsp)", "mov    %rsp,%rbp")
        for listing, operand in ((LISTING, "0xc8(%rsp)"), (LISTING, "(%rsp,%rax,4)"), (framed, "-0x40(%rbp)")):
            wrong, _ = inner_loops.look(listing.replace("SOURCE", operand), ["avx2"])
            self.assertEqual(len(wrong), 1)
            self.assertIn(operand, wrong[0])

    def test_a_pointer_that_waits_in_a_vector_register_is_told(self):
        listing = LISTING.replace("SOURCE", "%zmm3").replace("cmp    %r11,%r13", "vmovq  %xmm29,%r13")
        wrong, _ = inner_loops.look(listing, ["avx2"])
        self.assertEqual(len(wrong), 1)
        self.assertIn("%xmm29", wrong[0])
        self.assertEqual(inner_loops.look(listing, ["avx2"], pointers=False)[0], [])

    def test_aarch64_is_read_as_well(self):
        framed = NEON_LISTING.replace("str\tx0, [sp, #8]", "mov\tx29, sp")
        for operand in ("[x3]", "[x29, #16]"):
            wrong, seen = inner_loops.look(NEON_LISTING.replace("SOURCE", operand), ["neon"])
            self.assertEqual((wrong, seen), ([], ["neon::tiles_f32: 1 loops, of up to 1 products"]))
        for listing, operand in ((NEON_LISTING, "[sp, #64]"), (NEON_LISTING, "[sp]"), (framed, "[x29, #16]")):
            wrong, _ = inner_loops.look(listing.replace("SOURCE", operand), ["neon"])
            self.assertEqual(len(wrong), 1)
            self.assertIn(operand, wrong[0])

    def test_a_level_without_loops_is_told(self):
        wrong, _ = inner_loops.look(LISTING.replace("SOURCE", "%zmm3"), ["avx2", "avx512"])
        self.assertEqual(wrong, ["avx512: no inner loop of a product found"])


if __name__ == "__main__":
    unittest.main()
