// A command needs a document that this build cannot act on.

/** The message says what is wrong with the document and what mends it. */
export class UnreadableDocument extends Error {
  override readonly name = 'UnreadableDocument'

  constructor(key: string, why: string, advice = 'an admin can mend it with POST /admin/v1/store/repair') {
    super(`the document ${key} cannot be read: ${why}; ${advice}`)
  }
}
