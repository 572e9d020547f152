// The table of a level with AMX: included last, in the namespace of its tiles.

/// `table` with the products of gemm_amx.inl and what they need, as `level`.
constexpr Table with_amx(Table table, std::string_view level) {
  table.level = level;
  table.gemm_bf16 = gemm_bf16;
  table.pack_rows = pack_rows;
  table.attention_bf16 = attention_bf16;
  table.gemm_split = gemm_split;
  table.split_rows = split_rows;
  table.split_panels = split_panels;
  for (Slot& slot : table.slots)
    if (slot.level == kNoLevel || slot.operation == "gemm_bf16" || slot.operation == "attention_bf16" ||
        slot.operation == "pack_rows")
      slot.level = level;
  return table;
}
