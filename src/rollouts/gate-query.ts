// Placeholders of a gate's query: which there are, and what they stand for in one stage of one rollout. A placeholder is a word of
// lower-case letters alone in braces, which PromQL never writes: its own braces have a matcher, a number or nothing in them.
import { parsed, unparsed, type Parsed, type Unparsed } from '../channels/outcome.ts'
import { compareVersions, isVersion } from '../channels/version.ts'
import { stageAt, type Rollout } from './rollout.ts'

const PLACEHOLDERS = ['release', 'previous', 'stage'] as const

type Placeholder = (typeof PLACEHOLDERS)[number]

/** What the placeholders stand for; null where there is nothing that one could stand for. */
export type QueryValues = Readonly<Record<Placeholder, string | null>>

const WORD = /\{([a-z]+)\}/g

/** In a string a placeholder that is misspelled would stay as it is, or keep a brace, and match no series ever. */
const STRING = /"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'|`[^`]*`/g
/** `{Release}`, `{ stage }`, `{previous_version}`, `{{release}}`. */
const NEARLY_PLACEHOLDER =
  /\{(?:\{\s*[\w.-]*(?:release|previous|stage)[\w.-]*\s*\}|\s*[\w.-]*(?:release|previous|stage)[\w.-]*\s*)\}/gi

/**
 * Values stand inside of PromQL's strings as they are: each is checked to have its own grammar, whatever a document says. None of
 * these characters ends a string or begins an escape.
 */
const grammars: Readonly<Record<Placeholder, (value: string) => boolean>> = {
  release: isBareVersion,
  previous: isBareVersion,
  stage: (value) => /^[a-z0-9][a-z0-9._-]{0,62}$/.test(value),
}

function isBareVersion(value: string): boolean {
  return isVersion(value) && !value.startsWith('v')
}

/** What is wrong with the placeholders of a query, as the rest of a sentence about it; null where nothing is. */
export function queryMistake(query: string): string | null {
  const inStrings = [...query.matchAll(STRING)].flatMap(([text]) => [...text.matchAll(NEARLY_PLACEHOLDER)])
  const unknown = [...query.matchAll(WORD), ...inStrings].find(([text]) => !isPlaceholder(text.slice(1, -1)))
  if (unknown === undefined) return null
  const allowed = PLACEHOLDERS.map((name) => `{${name}}`).join(', ')
  return `has the placeholder ${unknown[0].slice(0, 40)}, which does not exist; there are ${allowed}. A brace that is text is written \\x7b in a string of PromQL`
}

/** What the placeholders stand for while stage `index` is under way. */
export function queryValues(rollout: Rollout, index: number): QueryValues {
  const { progress } = stageAt(rollout, index)
  const before = progress.moved.flatMap((moved) => moved.before ?? [])
  // Channels of one stage can have served several versions; the highest is what the release is compared with.
  const previous = before.toSorted(compareVersions).at(-1) ?? null
  return { release: rollout.release, previous, stage: progress.name }
}

/** The query as it is asked. Words in braces that are no placeholder stay: a query that was stored before means them as they are. */
export function fillQuery(query: string, values: QueryValues): Parsed<string> | Unparsed {
  const words = [...query.matchAll(WORD)].map(([, word]) => word).filter(isPlaceholder)
  for (const word of words) {
    const value = values[word]
    if (value === null) return unparsed(`{${word}} stands for nothing: no channel of the stage served a version before`)
    if (!grammars[word](value)) return unparsed(`{${word}} has a value that may not be put into a query`)
  }
  return parsed(query.replaceAll(WORD, (text, word: string) => (isPlaceholder(word) ? (values[word] ?? text) : text)))
}

function isPlaceholder(word: string | undefined): word is Placeholder {
  return PLACEHOLDERS.some((name) => name === word)
}
