"""Short programs that run, in several languages, to fill answers about code."""

from __future__ import annotations

PYTHON = {
    "prime": '''def primes(limit: int) -> list[int]:
    """All primes below limit, by the sieve of Eratosthenes."""
    sieve = bytearray([1]) * limit
    sieve[:2] = bytes(min(2, limit))
    for number in range(2, int(limit**0.5) + 1):
        if sieve[number]:
            sieve[number * number :: number] = bytes(len(range(number * number, limit, number)))
    return [number for number, alive in enumerate(sieve) if alive]


print(primes(50))''',
    "fibonacci": '''from collections.abc import Iterator


def fibonacci(count: int) -> Iterator[int]:
    """The first count Fibonacci numbers."""
    a, b = 0, 1
    for _ in range(count):
        yield a
        a, b = b, a + b


print(list(fibonacci(12)))''',
    "sort": '''def merge_sort(items: list[int]) -> list[int]:
    """A sorted copy; stable, O(n log n)."""
    if len(items) < 2:
        return items[:]
    middle = len(items) // 2
    left, right = merge_sort(items[:middle]), merge_sort(items[middle:])
    merged = []
    while left and right:
        merged.append(left.pop(0) if left[0] <= right[0] else right.pop(0))
    return merged + left + right


print(merge_sort([5, 2, 9, 1]))''',
    "": '''from collections import Counter
from pathlib import Path


def most_common_words(path: Path, number: int = 10) -> list[tuple[str, int]]:
    """The most frequent words of a text file, with their counts."""
    words = path.read_text(encoding="utf-8").lower().split()
    return Counter(word.strip(".,;:!?()") for word in words).most_common(number)


if __name__ == "__main__":
    for word, count in most_common_words(Path("notes.txt")):
        print(f"{count:5d}  {word}")''',
}

OTHERS = {
    "typescript": """type Task = { id: number; title: string; done: boolean };

export function openTasks(tasks: readonly Task[]): Task[] {
  return tasks.filter((task) => !task.done).sort((a, b) => a.title.localeCompare(b.title));
}

console.log(openTasks([{ id: 1, title: "Write tests", done: false }]));""",
    "javascript": """const wait = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

export async function retry(action, { attempts = 3, delay = 200 } = {}) {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await action();
    } catch (error) {
      if (attempt >= attempts) throw error;
      await wait(delay * 2 ** attempt);
    }
  }
}""",
    "rust": """use std::collections::HashMap;

fn word_counts(text: &str) -> HashMap<&str, usize> {
    let mut counts = HashMap::new();
    for word in text.split_whitespace() {
        *counts.entry(word).or_insert(0) += 1;
    }
    counts
}

fn main() {
    println!("{:?}", word_counts("the cat saw the dog"));
}""",
    "go": """package main

import "fmt"

func gcd(a, b int) int {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}

func main() {
	fmt.Println(gcd(84, 36)) // 12
}""",
    "sql": """WITH monthly AS (
    SELECT date_trunc('month', created_at) AS month, count(*) AS orders, sum(amount) AS revenue
    FROM orders
    GROUP BY 1
)
SELECT month, orders, revenue, revenue - lag(revenue) OVER (ORDER BY month) AS change
FROM monthly
ORDER BY month;""",
    "bash": """#!/usr/bin/env bash
set -euo pipefail

# Keep the ten newest backups, remove the rest.
find backups -name '*.tar.gz' -printf '%T@ %p\\0' | sort -zrn | tail -zn +11 | cut -zd' ' -f2- | xargs -0r rm --""",
    "html": """<!doctype html>
<html lang="en">
  <head>
    <meta charset="utf-8">
    <title>A small page</title>
    <style>
      body { font: 1rem/1.5 system-ui; max-width: 40rem; margin: 2rem auto; }
    </style>
  </head>
  <body>
    <h1>Hello</h1>
    <p>Every page starts somewhere.</p>
  </body>
</html>""",
}


def snippet(language: str, question: str) -> str:
    """A fenced program in a language, the nearest to the question that there is."""
    if language == "python":
        wanted = next((key for key in PYTHON if key and key in question.lower()), "")
        return f"```python\n{PYTHON[wanted]}\n```"
    return f"```{language}\n{OTHERS[language]}\n```"
