//! The formats as tables: lines, questions, answers. That real rbldnsd says the same is tried by `tests/tools/real-rbldnsd`.
