// What a replica tells of its own doings.

/** The server logs it. */
export interface ReplicaLog {
  info(fields: object, message: string): void
  warn(fields: object, message: string): void
  error(fields: object, message: string): void
}
