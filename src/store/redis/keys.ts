// The names of everything that Bellwether keeps in Redis. They share one hash tag, so that in a Cluster they are one slot.

/** What one store consists of. */
export interface Keys {
  /** Hash: format, epoch, seq, mark, first (the lowest seq kept), count (of documents), supersedes (epochs, with
   * spaces between). It is written last: an entry above its seq is of a write that has ended halfway. */
  readonly meta: string
  /** Hash: a document's key → the document as JSON. */
  readonly documents: string
  /** Hash: a deleted document's key → its last revision. */
  readonly revisions: string
  /** Stream: entry `seq` has the id `<seq>-0`. */
  readonly journal: string
  /** Sorted set, all scores 0: `<length>:<key>:<seq>`, so that a subject's entries are one range by their letters. */
  readonly subjects: string
  /** Hash: a request's id → the seq of its entry. */
  readonly requests: string
  /** Hash: a replica's id → what it has announced. */
  readonly replicas: string
  /** Sorted set: a replica's id, by the time at which its announcement ends. */
  readonly replicaEnds: string
  lease(name: string): string
  notes(topic: string): string
  /** One small fact with an end. */
  fact(name: string): string
}

export function keysOf(prefix: string): Keys {
  const key = (name: string): string => `{${prefix}}:${name}`
  return {
    meta: key('meta'),
    documents: key('documents'),
    revisions: key('revisions'),
    journal: key('journal'),
    subjects: key('subjects'),
    requests: key('requests'),
    replicas: key('replicas'),
    replicaEnds: key('replica-ends'),
    lease: (name) => key(`lease:${name}`),
    notes: (topic) => key(`notes:${topic}`),
    fact: (name) => key(`fact:${name}`),
  }
}

/** The keys of a script that writes to the store, in the order in which it takes them. */
export function writtenKeys({ meta, documents, revisions, journal, subjects, requests }: Keys): readonly string[] {
  return [meta, documents, revisions, journal, subjects, requests]
}

/** The same for announcements. */
export function announceKeys({ replicas, replicaEnds }: Keys): readonly string[] {
  return [replicas, replicaEnds]
}

/** Digits of a seq in `subjects`: every safe integer has 16 or fewer. */
const SEQ_DIGITS = 16

/** What all members of `subjects` about one document begin with; the length keeps `a` apart from `a:b`. */
export function subjectPrefix(key: string): string {
  return `${Buffer.byteLength(key)}:${key}:`
}

export function subjectMember(key: string, seq: number): string {
  return subjectPrefix(key) + String(seq).padStart(SEQ_DIGITS, '0')
}

export function seqOfMember(member: string): number {
  return Number(member.slice(-SEQ_DIGITS))
}
