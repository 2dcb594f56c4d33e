// How deep the JSON of documents and journal entries may be nested. JSON.parse follows any depth and JSON.stringify does not, so one
// deep value that another program has written would stop everything that writes JSON: answers, entries, the last-known-good file.

/**
 * A document of more levels is unreadable, itself counted as one: no Bellwether writes it. The deepest one, a rollout with the samples
 * of a stage's gates, has some 10 levels; JSON.stringify throws above some 5,000, or less where the stack is in use.
 */
export const NESTING_MAX = 100

/** Levels of an entry around its documents: the entry, its list of changes and a change. */
export const ENTRY_LEVELS = 3

/** Why a value of more levels is not read. */
export const NESTING_FAULT = `it is nested more than ${NESTING_MAX} levels deep`

const QUOTE = 0x22
const BACKSLASH = 0x5c
const [BEGIN_LIST, END_LIST, BEGIN_OBJECT, END_OBJECT] = [0x5b, 0x5d, 0x7b, 0x7d]

/**
 * The JSON value of a text, undefined where it is none. What is deeper than any entry may be is replaced by an empty list before it
 * is parsed: millions of levels would take more memory than the process has. The value is still too deep, and is found to be.
 */
export function parseBounded(text: string): unknown {
  try {
    return JSON.parse(pruned(text, NESTING_MAX + ENTRY_LEVELS))
  } catch {
    return undefined
  }
}

/** Whether a value has more than so many levels; it goes no deeper than that itself. */
export function isDeeper(value: unknown, levels: number): boolean {
  if (typeof value !== 'object' || value === null) return false
  if (levels === 0) return true
  for (const member of Object.values(value)) {
    if (isDeeper(member, levels - 1)) return true
  }
  return false
}

/** The text with `[]` in the place of everything that begins below `levels` levels. */
function pruned(text: string, levels: number): string {
  const kept: string[] = []
  let level = 0
  let from = 0
  for (let at = 0; at < text.length; at += 1) {
    switch (text.charCodeAt(at)) {
      case QUOTE:
        at = endOfString(text, at)
        break
      case BEGIN_LIST:
      case BEGIN_OBJECT:
        level += 1
        if (level === levels + 1) kept.push(text.slice(from, at))
        break
      case END_LIST:
      case END_OBJECT:
        if (level === levels + 1) {
          kept.push('[]')
          from = at + 1
        }
        level -= 1
        break
      default:
    }
  }
  // What does not end is no JSON.
  if (level > levels) return ''
  return kept.length === 0 ? text : kept.join('') + text.slice(from)
}

/** Where the string ends that begins at `start`; the end of the text where it does not end. */
function endOfString(text: string, start: number): number {
  let end = start
  for (;;) {
    end = text.indexOf('"', end + 1)
    if (end === -1) return text.length
    let escapes = 0
    while (text.charCodeAt(end - 1 - escapes) === BACKSLASH) escapes += 1
    if (escapes % 2 === 0) return end
  }
}
