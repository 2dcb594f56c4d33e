// How large what a store holds may be, in bytes of JSON, and how much of it one page of the journal reads.

/**
 * At most this many bytes of JSON in one entry, documents before and after included: Redis then answers within half of its time limit
 * for a command, and the entry is parsed in some 0.2 s. Every step of a rollout is below it by the limits of what documents hold;
 * a rollback is not asked.
 */
export const COMMIT_BYTES_MAX = 32 * 1024 * 1024

/**
 * A document of more bytes is not read: no Bellwether has written it. The largest that one can write is a rollout of 20 stages with
 * 10 gates each, 60 samples of every gate, its rules and 900 channels: some 3 MB.
 */
export const DOCUMENT_BYTES_MAX = 8 * 1024 * 1024

/** The same for a journal entry: a step of a rollout over 900 channels, each before and after, has some 10 MB at most. */
export const ENTRY_BYTES_MAX = 64 * 1024 * 1024

/** At most this many entries are looked at for one page, so that a filter matching nothing cannot hold the process. */
export const JOURNAL_SCAN_MAX = 10_000

/** A page of the journal ends before the entry that would take it above this many bytes; one entry is always given. */
export const JOURNAL_PAGE_BYTES_MAX = 1024 * 1024

/** At most so many bytes of entries are looked at for one page: some 50 ms of work for a filter that matches nothing. */
export const JOURNAL_SCAN_BYTES_MAX = 32 * 1024 * 1024
