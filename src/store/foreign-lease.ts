// What another program, or a person, has put in the place of a lease.

/** As it is named in the log. */
export interface ForeignLease {
  /** The first characters of its value; empty where it is no text. */
  readonly value: string
  /** Why it cannot be a replica's. */
  readonly detail: string
}
