// The source that a change asks for: static, or another version server's; and what that server has answered.
import { withoutRamp, type Channel, type ForwardSource, type Source } from './channel.ts'
import type { ChangeContext, ChannelChange, Drafted, SourceDraft } from './draft.ts'
import { malformed, type Refusal, type Verdict } from './outcome.ts'
import { hasPassed, targetAt } from './target.ts'
import { momentOf, parseMoment } from './time.ts'
import { parseUpstreamUrl } from './upstream-url.ts'
import { parseVersion } from './version.ts'

/** The source that a creation or an edit asks for. */
export function draftSource(channel: Channel, drafted: SourceDraft, context: ChangeContext): Drafted {
  const { source } = channel
  if (drafted.kind === 'static') {
    if (drafted.url !== undefined) return malformed('source/url', 'has no meaning for a static source')
    const merged = withSource(channel, mergedSource(source, drafted), context, 'source/')
    return drafted.version === undefined && source.kind === 'static' ? keepRamp(channel, merged, drafted) : merged
  }
  for (const field of ['version', 'critical', 'criticalUntil'] as const) {
    if (drafted[field] !== undefined) return malformed(`source/${field}`, 'has no meaning for a forward source')
  }
  const url = drafted.url ?? (source.kind === 'forward' ? source.url : null)
  if (url === null) return malformed('source/url', 'is missing; give the URL of a channel on another version server')
  const upstream = parseUpstreamUrl(url)
  if (upstream.outcome === 'unparsed') return malformed('source/url', upstream.message)
  if (source.kind === 'forward' && source.url === upstream.value.url) return { outcome: 'drafted', channel }
  // What was served stays served until the new upstream answers; urgency that was to end must not outlast that end.
  const { version, critical, criticalUntil } = channel.ramp?.plainPath === 'last' ? channel.ramp.before : source
  const forward: ForwardSource = {
    kind: 'forward',
    url: upstream.value.url,
    version,
    critical: critical && criticalUntil === null,
    criticalUntil: null,
    answeredAt: null,
    problem: null,
  }
  return { outcome: 'drafted', channel: withoutRamp({ ...channel, source: forward }) }
}

/** The source with what its upstream has answered, or what is wrong with it. */
export function draftAnswered(
  channel: Channel,
  change: Extract<ChannelChange, { kind: 'upstream' | 'upstream-problem' }>,
  context: ChangeContext,
): Drafted {
  const { source } = channel
  if (source.kind !== 'forward') throw new TypeError('only a forward channel has an upstream')
  const at = momentOf(context.now)
  if (change.kind === 'upstream-problem') {
    return { outcome: 'drafted', channel: { ...channel, source: { ...source, problem: { ...change.problem, at } } } }
  }
  const { version, critical } = change
  const answered = { ...source, version, critical: version !== null && critical, answeredAt: at, problem: null }
  return { outcome: 'drafted', channel: { ...channel, source: answered } }
}

/** Operators do not move what an upstream moves. */
export function followsUpstream(channel: Channel, url: string): Refusal {
  const message = `channel ${channel.name} follows ${url}; pin it, or make its source static first`
  return { outcome: 'refused', why: 'state', problem: 'follows_upstream', message }
}

/** An edit that names no version promotes nothing: the ramp goes on, and urgency that is asked for is that of all agents. */
function keepRamp({ ramp }: Channel, merged: Drafted, { critical, criticalUntil }: SourceDraft): Drafted {
  if (ramp === undefined || merged.outcome === 'refused') return merged
  const { source } = merged.channel
  const isAsked = critical !== undefined || criticalUntil !== undefined
  const urgency = isAsked ? { critical: source.critical, criticalUntil: source.criticalUntil } : {}
  const before = ramp.before.version === null ? ramp.before : { ...ramp.before, ...urgency }
  return { outcome: 'drafted', channel: { ...merged.channel, ramp: { ...ramp, before } } }
}

/** An edit keeps what it leaves out. Urgency belongs to a version, so it does not outlast a version that is given anew. */
function mergedSource(source: Source, edit: SourceDraft): SourceDraft {
  if (edit.version !== undefined) return edit
  const { version, critical, criticalUntil } = source
  return { version, critical, criticalUntil: edit.critical === false ? null : criticalUntil, ...edit }
}

/** A static source as it is asked for; `path` is where its fields stand in the request. */
export function withSource(channel: Channel, drafted: SourceDraft, context: ChangeContext, path: string): Drafted {
  const version = drafted.version === undefined || drafted.version === null ? null : parseVersion(drafted.version)
  if (version?.outcome === 'unparsed') return notAVersion(channel, `${path}version`, version.message, context)
  const critical = drafted.critical ?? false
  if (critical && version === null) return malformed(`${path}critical`, 'cannot be true for no version')
  const until = readUntil(drafted.criticalUntil, `${path}criticalUntil`, context)
  if (until.outcome === 'refused') return until
  if (until.moment !== null && !critical)
    return malformed(`${path}criticalUntil`, 'has no meaning unless critical is true')
  const source: Source = { kind: 'static', version: version?.value ?? null, critical, criticalUntil: until.moment }
  // Whoever says what the channel serves means all of its agents; the ramp that was under way is over.
  return { outcome: 'drafted', channel: withoutRamp({ ...channel, source }) }
}

/** A moment that must lie in the future. */
export function readUntil(
  text: string | null | undefined,
  field: string,
  context: ChangeContext,
): { readonly outcome: 'until'; readonly moment: string | null } | Refusal {
  if (text === undefined || text === null) return { outcome: 'until', moment: null }
  const moment = parseMoment(text)
  if (moment.outcome === 'unparsed') return malformed(field, moment.message)
  // What ends at once by either of the two times was not meant.
  if (hasPassed(moment.value, Math.max(context.now, context.expiryTime)))
    return malformed(field, `${moment.value} has passed; give a moment in the future`)
  return { outcome: 'until', moment: moment.value }
}

/** The refusal of a text that is no version. */
export function notAVersion(channel: Channel, field: string, message: string, context: ChangeContext): Refusal {
  const served = targetAt(channel, context.isBlocked, context.expiryTime).version
  const verdicts: Verdict[] = [{ guard: 'not-a-version', verdict: 'refused', detail: message }]
  return { outcome: 'refused', why: 'guard', guard: 'not-a-version', field, served, message, verdicts }
}
