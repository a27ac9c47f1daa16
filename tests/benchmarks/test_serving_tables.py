"""Tables of benchmarks of serving, extraction and memory, made from the JSON alone."""

from benchmarks import extract, first_pass, kept_memory, serve_beside_large, templates, uncertainty_serving


def test_extraction_compares_each_way_with_the_first_in_the_same_round() -> None:
    ways = [
        {"way": "one at a time", "seconds": [2.0, 4.0], "of_matmul_rate": [0.5, 0.25], "error": 0.0},
        {"way": "packed", "seconds": [1.0, 5.0], "of_matmul_rate": [1.0, 0.2], "error": 1e-7},
    ]
    report = {"shape": "tiny", "dtype": "float32", "sequences": 6, "unique_tokens": 300, "repeated_tokens": 450}
    shown = extract.table({**report, "matmul_tflops": 0.2, "results": ways})
    assert "1.50 times as many with repeated prompts; one large product at 200 GFLOP/s" in shown
    assert "| one at a time | 2.0 | 1.00 |  | 100 | 37.5% | 0.0e+00 |" in shown
    assert "| packed | 2.0 | 1.40 | 0.80 to 2.00 | 100 | 60.0% | 1.0e-07 |" in shown


def test_the_first_pass_is_compared_with_the_first_way_of_the_same_rows() -> None:
    def row(way: str, rows: int, cpu: float) -> dict[str, object]:
        more = {"cpu_us_of_this_process": cpu / 2, "wall_us": cpu, "grown_mb": 3, "peak_mb": 400}
        return {"set": "short rows", "way": way, "rows": rows, "cpu_us": cpu, **more}

    shown = first_pass.table(
        {"results": [row("before", 10, 800.0), row("second", 10, 200.0), row("second", 20, 100.0)]}
    )
    assert "| short rows | 10 | second | 200 | 4.0 | 100 | 200 | 3 MB | 400 MB |" in shown
    assert "| short rows | 20 | second | 100 | 1.0 |" in shown


def test_kept_memory_is_compared_turn_by_turn() -> None:
    found = {
        "seconds": {"given back": [2.0, 3.0], "kept": [1.0, 3.0]},
        "page_faults": {"given back": [1000, 2000], "kept": [1, 1]},
        "same_bytes": True,
    }
    shown = kept_memory.table({"results": {"a pass": found}})
    assert "| a pass | 2.50 s | 2.00 s | 1.50 | 1.00 to 2.00 | 1,500 | 1 | yes |" in shown


def test_small_requests_beside_large_ones_are_compared_with_those_alone() -> None:
    def way(name: str, p99: float) -> dict[str, object]:
        rest = {"requests_per_second": 9.0, "p50_ms": 5.0, "errors": 0, "large_requests": 2, "resident_mib": 300.0}
        return {"way": name, "p99_ms": p99, **rest}

    shown = serve_beside_large.table({"results": [way("alone", 10.0), way("60,000 turns", 35.0)], "peak_mib": 512.0})
    assert "| alone | 9 | 5 ms | 10 ms | 1.0 |" in shown
    assert "| beside 60,000 turns | 9 | 5 ms | 35 ms | 3.5 |" in shown
    assert "512 MiB" in shown


def test_standard_errors_are_compared_round_by_round() -> None:
    way = {"way": "a way", "without": [10.0, 10.0], "with_it": [9.0, 10.0], "errors": 0}
    way |= {"processor_without": [1.0, 1.0], "processor_with": [1.1, 1.3]}
    shown = uncertainty_serving.table({"parts": [{"shape": "tiny", "results": [way]}]})
    assert "| tiny | a way | 10.0 | 9.5 | 0.950 | 0.900 to 1.000 | 1.200 | 0 |" in shown


def test_templates_that_transformers_renders_faster_have_a_ratio_below_one() -> None:
    figures = {"characters": 1000, "transformers": 25.0, "here": 100.0, "tokenizing": 800.0, "other_texts": 0}
    assert "| 1,000 | 25 | 100 | 0.25 | 800 | 0 |" in templates.table({"results": [figures]})
    assert templates.measured(50, 8)["other_texts"] == 0
