// How long anything to do with Redis may take, and how much is read at once. Every call ends within these, whatever happens.

export interface RedisLimits {
  /** A connection that is not made by then is tried again. */
  readonly connectMs: number
  /** A command without an answer by then has failed, and its connection is made anew: nobody knows what it still delivers. */
  readonly commandMs: number
  /** The whole state, or a page of the journal, is read in many commands. */
  readonly readMuchMs: number
  /** A restore sends the whole state in one command. */
  readonly restoreMs: number
  /** A call that comes while there is no connection waits this long for one. */
  readonly readyMs: number
  /** First and longest pause between two tries to connect. */
  readonly retryFirstMs: number
  readonly retryLongestMs: number
  /** How long a follower waits for an entry before it looks whether its history is still that of the store. */
  readonly followMs: number
  /** How long `waitReplicas` Redis replicas have to confirm a write. */
  readonly waitMs: number
  /** Entries read at once. */
  readonly batchMax: number
  /** Bytes of entries read at once by whoever follows or catches up, except that one entry is always read. */
  readonly batchBytesMax: number
  /** Bytes of entries that Redis looks through at once for a filter: some 5 ms in which it does nothing else. */
  readonly scanBytesMax: number
  /** Documents read at once. */
  readonly scanMax: number
  /** The newest entries that are kept; older ones are trimmed. Some 2 KB each, so 200 MB of Redis. */
  readonly journalMax: number
  /** Entries that one commit trims at most, so that a lowered limit does not make one commit slow. */
  readonly trimMax: number
  /** How often a load begins again because an epoch began or entries were trimmed while it read. */
  readonly loadTriesMax: number
}

export const REDIS_LIMITS: RedisLimits = {
  connectMs: 2_000,
  commandMs: 2_000,
  readMuchMs: 30_000,
  restoreMs: 30_000,
  readyMs: 500,
  retryFirstMs: 50,
  retryLongestMs: 1_000,
  followMs: 1_000,
  waitMs: 1_000,
  batchMax: 200,
  batchBytesMax: 512 * 1024,
  scanBytesMax: 4 * 1024 * 1024,
  scanMax: 1_000,
  journalMax: 100_000,
  trimMax: 20,
  loadTriesMax: 5,
}
