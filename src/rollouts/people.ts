// Who is who: the person behind a token or a GitHub login, and which people what they wrote bars from approving or signing off.
import { malformed, quoted, type Malformed } from '../channels/outcome.ts'
import type { Document, JsonObject } from '../store/port.ts'
import { personOf, type Release, type ReleaseChange, type SignedOff } from './release.ts'

/** The GitHub accounts of a person. */
export interface Person {
  /** As tokens name it. */
  readonly person: string
  readonly logins: readonly string[]
}

/** The stored document. */
export interface StoredPeople {
  readonly people: readonly Person[]
  readonly updatedAt: string
  readonly updatedBy: string
}

/** What decisions read of it. */
export interface People {
  /** The person of each GitHub login, both in lower case. */
  readonly logins: ReadonlyMap<string, string>
  /** Whether the document cannot be read, so that nobody knows who is who. */
  readonly isUnreadable: boolean
}

/** The kind of document, as keys of the store begin. There is one. */
export const PEOPLE_KIND = 'people'
export const PEOPLE_KEY = `${PEOPLE_KIND}/all`

export const NO_PEOPLE: People = { logins: new Map(), isUnreadable: false }

const GITHUB = '/github'

export function storedPeopleOf(document: Document): StoredPeople {
  // The store has checked the body (control/check-document.ts).
  return document.body as unknown as StoredPeople
}

export function peopleBody(people: StoredPeople): JsonObject {
  // Made of strings, and lists and objects of them.
  return people as unknown as JsonObject
}

/** What is wrong with a list: no person, and no login, is there twice, whatever its case. */
export function peopleMistake(people: readonly Person[]): Malformed | null {
  const [persons, logins] = [new Set<string>(), new Set<string>()]
  for (const [index, one] of people.entries()) {
    if (persons.has(folded(one.person)))
      return malformed(`people/${index}/person`, `${quoted(one.person)} is there twice`)
    persons.add(folded(one.person))
    for (const [place, login] of one.logins.entries()) {
      if (logins.has(folded(login)))
        return malformed(`people/${index}/logins/${place}`, `${quoted(login)} is there twice`)
      logins.add(folded(login))
    }
  }
  return null
}

/** What decisions read of the stored document; undefined where there is none. */
export function peopleOf(document: Document | undefined): People {
  if (document === undefined) return NO_PEOPLE
  if (document.unreadable !== undefined) return { logins: new Map(), isUnreadable: true }
  const pairs = storedPeopleOf(document).people.flatMap(({ person, logins }) =>
    logins.map((login) => [folded(login), folded(person)] as const),
  )
  return { logins: new Map(pairs), isUnreadable: false }
}

/** Who writes or judges: `person` is that of a token, absent where it is the token's name, and on GitHub. */
export interface Author {
  readonly actor: string
  readonly person?: string
}

/** An author as releases store it: a person, or `login/github`, whose person is looked up when it counts. */
export function authorOf({ actor, person }: Author): string {
  if (person !== undefined) return folded(person)
  return isGithub(actor) ? folded(actor) : personOf(actor)
}

/** What a stamp says of who made it: the person only where the actor does not say it. */
export function signatureOf({ actor, person }: Author): { readonly by: string; readonly person?: string } {
  return person === undefined || folded(person) === personOf(actor)
    ? { by: actor }
    : { by: actor, person: folded(person) }
}

/** The person who has made a stamp; null for a GitHub login that is mapped to nobody. */
export function signerOf({ by, person }: Pick<SignedOff, 'by' | 'person'>, people: People): string | null {
  return personBehind(authorOf({ actor: by, ...(person === undefined ? {} : { person }) }), people)
}

/** The person behind a stored author; null for a GitHub login that is mapped to nobody. */
function personBehind(author: string, { logins }: People): string | null {
  return isGithub(author) ? (logins.get(loginIn(author)) ?? null) : author
}

/** Those who have written what is in the release now, as stored; releases of earlier builds say only who registered them. */
export function contentAuthors({ authors, registeredBy }: Release): readonly string[] {
  return authors ?? [authorOf({ actor: registeredBy })]
}

/** GitHub logins that have written some of the release and are mapped to no person. */
export function unknownAuthors(release: Release, people: People): readonly string[] {
  const cutBy = isGithub(release.cutBy) ? [folded(release.cutBy)] : []
  const unknown = [...contentAuthors(release), ...cutBy].filter((author) => personBehind(author, people) === null)
  return [...new Set(unknown.map(loginIn))]
}

/** People who may not approve the release: they have cut it, or have written some of it. */
export function barredFromApproving(release: Release, people: People): ReadonlySet<string> {
  const { cutBy, registeredBy } = release
  const writers = contentAuthors(release).flatMap((author) => personBehind(author, people) ?? [])
  return new Set([...writers, ...(cutBy === registeredBy ? [] : meantBy(cutBy, people))])
}

/** People who may not sign a change off: its author, and those who have put it on the list. */
export function barredFromSigning(release: Release, change: ReleaseChange, people: People): ReadonlySet<string> {
  const added = change.addedBy ?? [authorOf({ actor: release.registeredBy })]
  const adders = added.flatMap((author) => personBehind(author, people) ?? [])
  return new Set([...adders, ...meantBy(change.author, people)])
}

/** Whether a change is signed off by a known person who has neither written nor listed it. */
export function isSignedOff(release: Release, change: ReleaseChange, people: People): boolean {
  if (change.signedOff === null) return false
  const signer = signerOf(change.signedOff, people)
  return signer !== null && !barredFromSigning(release, change, people).has(signer)
}

/** Significant changes without a sign-off that counts; null where the changes are not known. */
export function unsignedChanges(release: Release, people: People): readonly ReleaseChange[] | null {
  if (release.changes === null) return null
  return release.changes.filter(
    (change) => change.significant && change.withdrawn === null && !isSignedOff(release, change, people),
  )
}

/** The people that a written name can mean: a person, or the one behind that login. */
function meantBy(name: string, { logins }: People): readonly string[] {
  const bare = personOf(name).replace(/^@/, '')
  return [bare, logins.get(bare) ?? bare]
}

function isGithub(actor: string): boolean {
  return folded(actor).endsWith(GITHUB)
}

function loginIn(author: string): string {
  return folded(author).slice(0, -GITHUB.length)
}

function folded(name: string): string {
  return name.trim().toLowerCase()
}
