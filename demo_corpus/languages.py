"""Templates of the functions that the code prompts ask for, a loop and a formula, in six languages."""

from dataclasses import dataclass

LANGUAGES = ("Python", "JavaScript", "Java", "Go", "C++", "Rust")


@dataclass(frozen=True, slots=True)
class Shape:
    """Templates of one language: a loop over a list, a formula, and a line comment."""

    loop: str
    formula: str
    comment: str


SHAPES: dict[str, Shape] = {
    "Python": Shape(
        "def {name}({items}):\n{note}"
        "    {total} = {start}\n    for {item} in {items}:\n        {update}\n    return {total}",
        "def {name}({a}, {b}):\n{note}    return {expression}",
        "#",
    ),
    "JavaScript": Shape(
        "function {name}({items}) {{\n{note}"
        "  let {total} = {start};\n  for (const {item} of {items}) {update};\n  return {total};\n}}",
        "function {name}({a}, {b}) {{\n{note}  return {expression};\n}}",
        "//",
    ),
    "Java": Shape(
        "static int {name}(int[] {items}) {{\n{note}"
        "  int {total} = {start};\n  for (int {item} : {items}) {update};\n  return {total};\n}}",
        "static int {name}(int {a}, int {b}) {{\n{note}  return {expression};\n}}",
        "//",
    ),
    "Go": Shape(
        "func {name}({items} []int) int {{\n{note}"
        "  {total} := {start}\n  for _, {item} := range {items} {{ {update} }}\n  return {total}\n}}",
        "func {name}({a} int, {b} int) int {{\n{note}  return {expression}\n}}",
        "//",
    ),
    "C++": Shape(
        "int {name}(const std::vector<int>& {items}) {{\n{note}"
        "  int {total} = {start};\n  for (int {item} : {items}) {update};\n  return {total};\n}}",
        "int {name}(int {a}, int {b}) {{\n{note}  return {expression};\n}}",
        "//",
    ),
    "Rust": Shape(
        "fn {name}({items}: &[i32]) -> i32 {{\n{note}"
        "  let mut {total} = {start};\n  for {item} in {items} {{ {update}; }}\n  {total}\n}}",
        "fn {name}({a}: i32, {b}: i32) -> i32 {{\n{note}  {expression}\n}}",
        "//",
    ),
}
