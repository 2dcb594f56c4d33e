// What is wrong with a store although it works, and the codes that other parts look for.

/** Something about a store's settings by which it could lose what it was given; `message` says what to do. */
export interface StoreWarning {
  readonly code: string
  readonly message: string
}

/** The store is there and refuses writes. */
export const REFUSES_WRITES = 'refuses_writes'
/** The store could not be asked how it is set up. */
export const SETTINGS_UNCHECKED = 'settings_unchecked'
