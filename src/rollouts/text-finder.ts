// Says whether a text has any of many others in it, in a time that does not grow with how many there are (Rabin and Karp): one
// window of each is looked for by its hash, and where it is found the whole of it is compared. Characters are UTF-16 code units,
// as in String.prototype.includes.

/** Characters of a window. Shorter texts are looked for one by one. */
const WINDOW_LENGTH = 8
/** Windows of one text of which the rarest is taken: links and titles often begin, or end, alike. */
const WINDOWS_MAX = 16
/** Slots of the filter for each text: nearly every window of a text that has nothing in it ends here. */
const SLOTS_PER_TEXT = 16
const SLOT_BITS_MIN = 10
const SLOT_BITS_MAX = 24

const BASE = 0x01000193
/** What the first character of a window counts in its hash. */
const FIRST_FACTOR = Array.from({ length: WINDOW_LENGTH - 1 }).reduce((factor: number) => Math.imul(factor, BASE), 1)
const GOLDEN = 0x9e3779b1

interface Candidate {
  readonly text: string
  /** Where the window begins in it. */
  readonly at: number
}

export class TextFinder {
  readonly #short: readonly string[]
  readonly #candidates = new Map<number, Candidate[]>()
  readonly #isTaken: Uint8Array
  readonly #shift: number

  /** None of `texts` may be empty. */
  constructor(texts: Iterable<string>) {
    const unique = [...new Set(texts)]
    this.#short = unique.filter(({ length }) => length < WINDOW_LENGTH)
    const long = unique.filter(({ length }) => length >= WINDOW_LENGTH)
    const bits = Math.ceil(Math.log2(long.length * SLOTS_PER_TEXT + 1))
    const slotBits = Math.min(Math.max(bits, SLOT_BITS_MIN), SLOT_BITS_MAX)
    this.#shift = 32 - slotBits
    this.#isTaken = new Uint8Array(2 ** slotBits)
    const counts = new Uint32Array(2 ** slotBits)
    const slotAt = (text: string, at: number): number => this.#slotOf(hashOf(text, at))
    for (const text of long) eachPlace(text, (at) => (counts[slotAt(text, at)] = (counts[slotAt(text, at)] ?? 0) + 1))
    for (const text of long) {
      let rarest = { at: 0, count: Infinity }
      eachPlace(text, (at) => {
        const count = counts[slotAt(text, at)] ?? 0
        if (count < rarest.count) rarest = { at, count }
      })
      this.#add({ text, at: rarest.at })
    }
  }

  /** Whether any of the texts is in this one. */
  isIn(text: string): boolean {
    if (this.#short.some((short) => text.includes(short))) return true
    if (this.#candidates.size === 0 || text.length < WINDOW_LENGTH) return false
    let hash = hashOf(text, 0)
    for (let at = 0; ; at += 1) {
      if (this.#isTaken[this.#slotOf(hash)] === 1 && this.#isAt(text, at, hash)) return true
      if (at + WINDOW_LENGTH >= text.length) return false
      const rest = hash - Math.imul(text.charCodeAt(at), FIRST_FACTOR)
      hash = (Math.imul(rest, BASE) + text.charCodeAt(at + WINDOW_LENGTH)) | 0
    }
  }

  #add(candidate: Candidate): void {
    const hash = hashOf(candidate.text, candidate.at)
    this.#isTaken[this.#slotOf(hash)] = 1
    const same = this.#candidates.get(hash)
    if (same === undefined) this.#candidates.set(hash, [candidate])
    else same.push(candidate)
  }

  #isAt(text: string, windowAt: number, hash: number): boolean {
    const candidates = this.#candidates.get(hash) ?? []
    return candidates.some((one) => windowAt >= one.at && text.startsWith(one.text, windowAt - one.at))
  }

  #slotOf(hash: number): number {
    return Math.imul(hash, GOLDEN) >>> this.#shift
  }
}

/** Calls `visit` with up to WINDOWS_MAX places of windows, the first and the last among them. */
function eachPlace({ length }: string, visit: (at: number) => void): void {
  const last = length - WINDOW_LENGTH
  const count = Math.min(last + 1, WINDOWS_MAX)
  for (let n = 0; n < count; n += 1) visit(count === 1 ? 0 : Math.floor((last * n) / (count - 1)))
}

function hashOf(text: string, at: number): number {
  let hash = 0
  for (let index = at; index < at + WINDOW_LENGTH; index += 1)
    hash = (Math.imul(hash, BASE) + text.charCodeAt(index)) | 0
  return hash
}
