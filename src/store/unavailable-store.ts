// A store that could not be opened at all: every call says why. The replica serves its last known good state meanwhile.
import { StoreUnavailable, type Store } from './port.ts'

/** Stands in for a store that is damaged; `why` is the sentence that every refusal carries. */
export function unavailableStore(why: string): Store {
  const refuse = (): Promise<never> => Promise.reject(new StoreUnavailable(why))
  const close = (): Promise<void> => Promise.resolve()
  const journal = { journal: refuse, journalInParts: refuse, journalBegins: refuse }
  return {
    load: refuse,
    follow: refuse,
    committed: refuse,
    position: refuse,
    ...journal,
    commit: refuse,
    startEpoch: refuse,
    close,
  }
}
