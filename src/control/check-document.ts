// What every document must be, whoever wrote it: handed to the store, which marks what this build cannot read.
import { BLOCKED_KIND } from '../channels/blocked-version.ts'
import { checkChannel } from '../channels/channel-shape.ts'
import { CHANNEL_KIND } from '../channels/channel.ts'
import * as shape from '../channels/shape.ts'
import { KEPT_LABEL_KIND } from '../rollouts/github-label.ts'
import { PEOPLE_KEY, PEOPLE_KIND } from '../rollouts/people.ts'
import { PIPELINE_KIND } from '../rollouts/pipeline.ts'
import { RELEASE_KIND } from '../rollouts/release.ts'
import { ROLLOUT_KIND } from '../rollouts/rollout.ts'
import { keptLabelShape, peopleShape, pipelineShape, releaseShape, rolloutShape } from '../rollouts/shapes.ts'
import type { CheckDocument } from '../store/port.ts'
import { roles } from './identity.ts'
import { TOKEN_KIND } from './tokens.ts'

const { listOf, moment, nullable, objectWith, oneOf, optional, text, textThat } = shape

const blockedVersion = objectWith({
  version: text,
  reason: text,
  by: text,
  at: moment,
  because: optional(oneOf(['no packages', 'rolled back'])),
})

const token = objectWith({
  id: text,
  name: text,
  role: oneOf(roles),
  channels: nullable(listOf(text)),
  createdAt: moment,
  createdBy: text,
  expiresAt: nullable(moment),
  person: optional(text),
  hash: textThat((value) => /^[0-9a-f]{64}$/.test(value), 'a SHA-256 in hex'),
})

/** Of a kind: the shape of its bodies, and what the rest of the key must be by the body. */
const kinds: ReadonlyMap<string, CheckDocument> = new Map<string, CheckDocument>([
  [CHANNEL_KIND, (name, body) => checkChannel(name, body)],
  [BLOCKED_KIND, (name, body) => blockedVersion(body, '') ?? mustBe(body, 'version', name)],
  [TOKEN_KIND, (name, body) => token(body, '') ?? mustBe(body, 'id', name)],
  [RELEASE_KIND, (name, body) => releaseShape(body, '') ?? mustBe(body, 'version', name)],
  [PIPELINE_KIND, (name, body) => pipelineShape(body, '') ?? mustBe(body, 'name', name)],
  [ROLLOUT_KIND, (name, body) => rolloutShape(body, '') ?? ofRollout(name, body)],
  [KEPT_LABEL_KIND, (name, body) => keptLabelShape(body, '') ?? ofPullRequest(name, body)],
  [PEOPLE_KIND, (name, body) => peopleShape(body, '') ?? ofPeople(name)],
])

/** Says why this build cannot act on a document, null where it can. Kinds that it does not know it leaves alone. */
export const checkDocument: CheckDocument = (key, body) => {
  const slash = key.indexOf('/')
  const check = kinds.get(key.slice(0, slash))
  return check === undefined ? null : check(key.slice(slash + 1), body)
}

function mustBe(body: Readonly<Record<string, unknown>>, member: string, name: string): string | null {
  return body[member] === name ? null : `${member} must be ${name}`
}

function ofRollout(name: string, { pipeline, release }: Readonly<Record<string, unknown>>): string | null {
  const [pipelineName = '', version = ''] = [pipeline, release].map((part) => (typeof part === 'string' ? part : ''))
  return name === `${pipelineName}/${version}` ? null : `pipeline and release must be ${name}`
}

function ofPeople(name: string): string | null {
  return `${PEOPLE_KIND}/${name}` === PEOPLE_KEY ? null : `the key must be ${PEOPLE_KEY}`
}

function ofPullRequest(name: string, { host, repository, number }: Readonly<Record<string, unknown>>): string | null {
  return name === `${String(host)}/${String(repository)}#${String(number)}`
    ? null
    : `host, repository and number must be ${name}`
}
