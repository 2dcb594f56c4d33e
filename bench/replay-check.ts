// Judges what updaters were told while channels were being changed: every answer must have been the target at some
// moment between its request and its end, and no updater may be told something older than what was known by then.
//
// There is no clock in here: whoever calls says in which order things happened, by the order of the calls.

/** What the poll plane tells of a channel: a version, `null` for no version, `absent` for an unknown channel. */
export type Told = string | null | typeof absent
export const absent: unique symbol = Symbol('absent')

/** A poll that has been sent and not yet answered. */
export interface PollUnderWay {
  readonly channel: string
  /** The oldest state that the channel could still be in when the poll was sent. */
  readonly oldest: number
}

/** A change that has been sent and not yet answered. */
export interface ChangeUnderWay {
  readonly channel: string
  readonly index: number
}

/** Wrong answers are described up to this number; the count goes on. */
const DESCRIBED_MAX = 20

interface Timeline {
  /** Every target of the channel in order; the last one may belong to the change under way. */
  readonly states: Told[]
  /** No state before this one can be in force any more: it was acknowledged, or somebody was told it. */
  settled: number
  underWay: ChangeUnderWay | null
  /** Polls that nothing but the change under way explains: wrong, all of them, should it be refused. */
  earlyPolls: number
}

export class ReplayCheck {
  readonly #timelines = new Map<string, Timeline>()
  readonly #descriptions: string[] = []
  #polls = 0
  #wrong = 0

  get polls(): number {
    return this.#polls
  }

  get wrong(): number {
    return this.#wrong
  }

  /** The first wrong answers in words. */
  get descriptions(): readonly string[] {
    return this.#descriptions
  }

  /** Takes a channel in, with what it tells before the first change. */
  begin(channel: string, told: Told): void {
    this.#timelines.set(channel, { states: [told], settled: 0, underWay: null, earlyPolls: 0 })
  }

  /** A change is about to be sent. Changes of one channel follow each other. */
  changeSent(channel: string, target: Exclude<Told, typeof absent>): ChangeUnderWay {
    const timeline = this.#timeline(channel)
    if (timeline.underWay !== null) throw new Error(`two changes of ${channel} at the same time`)
    timeline.states.push(target)
    timeline.underWay = { channel, index: timeline.states.length - 1 }
    return timeline.underWay
  }

  /** The server has acknowledged it: from now on nothing older may be told. */
  changeAcknowledged(change: ChangeUnderWay): void {
    const timeline = this.#finish(change)
    timeline.settled = change.index
    timeline.earlyPolls = 0
  }

  /** The server has refused it: nobody may ever have been told it. */
  changeRefused(change: ChangeUnderWay): void {
    const timeline = this.#finish(change)
    const refused = timeline.states.pop()
    timeline.settled = Math.min(timeline.settled, change.index - 1)
    const { earlyPolls } = timeline
    for (let poll = 0; poll < earlyPolls; poll += 1) {
      this.#describe(`${change.channel} told ${show(refused)}, which was refused`)
    }
    timeline.earlyPolls = 0
  }

  pollSent(channel: string): PollUnderWay {
    return { channel, oldest: this.#timeline(channel).settled }
  }

  /** Judges an answer; `strange` is one that is neither a version nor one of the two expected 404s. */
  pollAnswered({ channel, oldest }: PollUnderWay, told: Told | { readonly strange: string }): void {
    this.#polls += 1
    const timeline = this.#timeline(channel)
    if (typeof told === 'object' && told !== null) {
      this.#describe(`${channel} answered ${told.strange}`)
      return
    }
    const index = timeline.states.indexOf(told, oldest)
    if (index === -1) {
      const possible = timeline.states.slice(oldest).map(show).join(' or ')
      this.#describe(`${channel} told ${show(told)}, but only ${possible} was possible`)
      return
    }
    if (index === timeline.underWay?.index) timeline.earlyPolls += 1
    timeline.settled = Math.max(timeline.settled, index)
  }

  #finish(change: ChangeUnderWay): Timeline {
    const timeline = this.#timeline(change.channel)
    if (timeline.underWay !== change) throw new Error(`this change of ${change.channel} is not under way`)
    timeline.underWay = null
    if (timeline.states.length - 1 !== change.index) throw new Error(`the states of ${change.channel} are out of order`)
    return timeline
  }

  #timeline(channel: string): Timeline {
    const timeline = this.#timelines.get(channel)
    if (timeline === undefined) throw new Error(`nobody has begun with channel ${channel}`)
    return timeline
  }

  #describe(description: string): void {
    this.#wrong += 1
    if (this.#descriptions.length < DESCRIBED_MAX) this.#descriptions.push(description)
  }
}

function show(told: Told | undefined): string {
  if (told === absent) return 'an unknown channel'
  return told === null ? 'no version' : String(told)
}
