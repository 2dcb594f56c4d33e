// The OpenAPI document as the routes declare it, without a server: for openapi/bellwether.json and its drift check.
import { pino } from 'pino'
import { AllowedHosts } from '../control/allowed-hosts.ts'
import { Upstreams } from '../control/upstreams.ts'
import { buildMetrics } from '../routes/metrics.ts'
import { systemClock } from '../lib/clock.ts'
import { LocalClock } from '../serve/trusted-clock.ts'
import { SnapshotHolder } from '../serve/holder.ts'
import { Lifecycle } from '../serve/lifecycle.ts'
import { Replica } from '../serve/replica.ts'
import { localCoordination } from '../store/local-coordination.ts'
import { unavailableStore } from '../store/unavailable-store.ts'
import { buildControlPlane } from './control-plane.ts'

/** The document as it is committed. */
export async function openApiText(): Promise<string> {
  return `${JSON.stringify(await openApiDocument(), null, 2)}\n`
}

/** Builds the control plane over no store at all, and gives what it says of itself. */
export async function openApiDocument(): Promise<object> {
  const store = unavailableStore('there is no store; this only describes the routes')
  const holder = new SnapshotHolder()
  const logger = pino({ level: 'silent' })
  const clock = new LocalClock(systemClock, null)
  const replica = new Replica({ store, holder, clock, log: logger, maxAgeS: 0, dataDir: '' })
  const warnings = (): [] => []
  const { registry, count } = buildMetrics({ holder, replica, warnings, clock, polls: null })
  const coordination = localCoordination(() => clock.now())
  const upstreams = new Upstreams(new AllowedHosts(null, 'BELLWETHER_UPSTREAM_ALLOW'))
  const outside = { checkPackages: async () => [], gateRefusal: () => null }
  const control = {
    store,
    coordination,
    replica,
    replicaId: 'none',
    processToken: 'none',
    clock,
    upstreams,
    outside,
    warnings,
    count,
  }
  const facts = { holder, role: 'control', build: '', startedAt: 0, processes: () => 1 }
  const app = await buildControlPlane({
    control,
    facts,
    lifecycle: new Lifecycle(),
    registry,
    adminToken: '',
    github: { secret: null, verifiedLabel: '', repositories: null },
    logger,
  })
  try {
    await app.ready()
    return app.swagger()
  } finally {
    await app.close()
  }
}
