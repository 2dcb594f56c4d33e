// A poll's answer: the path is read byte by byte as it came (never decoded), the answer is one that is already rendered.
import { parseCohort } from '../channels/cohort.ts'
import { parseChannelName } from '../channels/name.ts'
import { noSnapshot, notFound, type Answer, type Face } from './answers.ts'
import type { Snapshot } from './snapshot.ts'

const RFD109_PREFIX = '/v1/'
const WEBAPI_PREFIXES = ['/v1/webapi/automaticupgrades/channel/', '/webapi/automaticupgrades/channel/'] as const
/** Under every channel: `/v1/stable/cloud/cohort/7/version`. */
const COHORT_SEGMENT = '/cohort/'
/** What the Teleport proxy serves to an agent whose channel it does not know. */
export const WEBAPI_FALLBACK = 'default'

/** The paths on the poll plane that are no polls: does the process live, and should connections be sent to it. */
export const HEALTH_PATH = '/healthz'
export const READY_PATH = '/readyz'

/** The value of which path: both critical paths are answered alike where there is such a channel. */
type Asked = 'version' | 'critical' | 'webapiVersion' | 'webapiCritical'

const SLASH = 47

/** The answer to a GET or HEAD of `url`, the request target as it stands in the request line. */
export function answerPoll(snapshot: Snapshot | null, url: string): Answer {
  const path = pathOf(url)
  const webapi = WEBAPI_PREFIXES.find((prefix) => path.startsWith(prefix))
  const prefix = webapi ?? RFD109_PREFIX
  const slash = path.lastIndexOf('/')
  if (!path.startsWith(prefix) || slash < prefix.length) return notFound
  const value = path.slice(slash + 1)
  if (value !== 'version' && value !== 'critical') return notFound
  const asked = webapi === undefined ? value : value === 'version' ? 'webapiVersion' : 'webapiCritical'
  // A shell client whose endpoint ends with a slash asks with two; every cache takes the two for one, so the answer is the same.
  const end = path.charCodeAt(slash - 1) === SLASH ? slash - 1 : slash
  const name = path.slice(prefix.length, end)
  const channel = snapshot?.find(name)
  if (channel !== undefined) return pick(channel, asked)
  // No channel's name has the segment `cohort`, so this is one's cohort or nothing.
  const at = name.lastIndexOf(COHORT_SEGMENT)
  const cohort = at === -1 ? null : parseCohort(name.slice(at + COHORT_SEGMENT.length))
  return cohort === null
    ? answerOther(snapshot, name, null, asked)
    : answerCohort(snapshot, name.slice(0, at), cohort, asked)
}

function answerCohort(snapshot: Snapshot | null, name: string, cohort: number, asked: Asked): Answer {
  const channel = snapshot?.find(name)
  if (channel === undefined) return answerOther(snapshot, name, cohort, asked)
  return pick(channel.cohorts?.[cohort] ?? channel, asked)
}

/** The answer about a channel that is not in the snapshot. */
function answerOther(snapshot: Snapshot | null, name: string, cohort: number | null, asked: Asked): Answer {
  if (parseChannelName(name).outcome === 'unparsed') return notFound
  if (snapshot === null) return noSnapshot
  const isWebapi = asked === 'webapiVersion' || asked === 'webapiCritical'
  const fallback = isWebapi ? snapshot.find(WEBAPI_FALLBACK) : undefined
  if (fallback === undefined) return snapshot.common.unknownChannel
  return pick(cohort === null ? fallback : (fallback.cohorts?.[cohort] ?? fallback), asked)
}

/** Whether an If-None-Match field holds an entity tag, by the weak comparison (RFC 9110 §13.1.2). */
export function matchesEntityTag(field: string, etag: string): boolean {
  if (field === etag) return true
  if (field.trim() === '*') return true
  if (!/^\s*(?:,\s*)*(?:W\/)?"[^"]*"\s*(?:,\s*(?:(?:W\/)?"[^"]*"\s*)?)*$/.test(field)) return false
  return field.match(/"[^"]*"/g)?.includes(etag) === true
}

function pick(face: Face, asked: Asked): Answer {
  if (asked === 'version') return face.version
  return asked === 'webapiVersion' ? face.webapiVersion : face.critical
}

/** The path of a request target: without its query, and without scheme and authority in the absolute form (RFC 9112 §3.2.2). */
export function pathOf(url: string): string {
  const query = url.indexOf('?')
  const target = query === -1 ? url : url.slice(0, query)
  return target.startsWith('/') ? target : (/^https?:\/\/[^/]+(\/.*)$/i.exec(target)?.[1] ?? '')
}
