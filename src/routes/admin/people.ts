// People: whose GitHub accounts are whose. What a person may not approve or sign off is in rollouts/people.ts.
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from 'typebox'
import type { Control } from '../../control/control.ts'
import { peopleRecord, putPeople, recordOf, type PeopleRecord } from '../../control/put-people.ts'
import { answers, writeAnswers } from './answers.ts'
import { sendRefusal, sendStale, sendUnfinished } from './change.ts'
import { sendDocument } from './entity-tag.ts'
import { PERSON_PATTERN } from './request-schemas.ts'
import { Moment, Nullable, Reason, writeMarks } from './schemas.ts'
import { handleWrite } from './write-handler.ts'
import { writing } from './write-request.ts'
import { sendWritten } from './write-response.ts'

type App = Parameters<FastifyPluginAsyncTypebox>[0]

/** Far more than have a hand in one fleet's releases; each decision about a stage reads them all. */
const PEOPLE_MAX = 1_000
const LOGINS_MAX = 10
/** 1,000 people of ten logins each are some 500 KB. */
const PEOPLE_BODY_BYTES_MAX = 1_024 * 1_024

const People = Type.Array(
  Type.Object(
    {
      person: Type.String({ pattern: PERSON_PATTERN, description: 'As the `person` of tokens says it, e.g. `alice`.' }),
      logins: Type.Array(
        Type.String({
          pattern: '^[A-Za-z0-9][A-Za-z0-9_-]{0,38}(\\[bot\\])?$',
          description: 'A GitHub login, e.g. `octocat`.',
        }),
        { maxItems: LOGINS_MAX },
      ),
    },
    { additionalProperties: false },
  ),
  { maxItems: PEOPLE_MAX },
)
const Body = Type.Object({ people: People, reason: Type.Optional(Reason) }, { additionalProperties: false })
const Answer = Type.Object({
  people: People,
  updatedAt: Nullable(Moment),
  updatedBy: Nullable(Type.String()),
  revision: Type.Integer({ minimum: 0, description: '0 where nobody was mapped yet.' }),
  ...writeMarks,
})
const tags = ['tokens']

export function peopleRoutes(control: Control): FastifyPluginAsyncTypebox {
  return async (app) => {
    getPeopleRoute(app, control)
    putPeopleRoute(app, control)
  }
}

function getPeopleRoute(app: App, control: Control): void {
  app.route({
    method: 'GET',
    url: '/people',
    config: { role: 'viewer', wholeServer: true },
    schema: {
      operationId: 'getPeople',
      summary: 'Read who is who',
      description: 'The GitHub logins of each person.',
      tags,
      response: answers({ 200: Answer, 304: Type.Null() }, 409),
    },
    handler: async (_request, reply) => {
      const record = peopleRecord(control)
      return sendDocument(reply, record?.revision ?? 0, presentPeople(record))
    },
  })
}

function putPeopleRoute(app: App, control: Control): void {
  app.route({
    method: 'PUT',
    url: '/people',
    config: { role: 'admin', dryRunRole: 'viewer', wholeServer: true },
    bodyLimit: PEOPLE_BODY_BYTES_MAX,
    schema: {
      operationId: 'putPeople',
      summary: 'Map GitHub logins to persons',
      description:
        'The whole list. Sign-offs of a login that is mapped to nobody do not count, and a release that such a login has written is held where approvals are required (`unknown_person`). Decisions read the list when they are made, so a mapping counts at once, also for what was done before it.',
      tags,
      ...writing,
      body: Body,
      response: writeAnswers({ 200: Answer }, 412),
    },
    handler: (request, reply) =>
      handleWrite(
        request,
        reply,
        (asked, options) => putPeople(control, asked, request.body.people, options),
        (outcome) => {
          switch (outcome.outcome) {
            case 'done': {
              const { record } = outcome
              return sendWritten(control, request, reply, { revision: record.revision, body: presentPeople(record) })
            }
            case 'stale': {
              const { current } = outcome
              const shown = current === null ? null : { revision: current.revision, document: recordOf(current) }
              return sendStale(request, reply, 'the list of people', shown)
            }
            case 'refused':
              return sendRefusal(request, reply, outcome)
            case 'not-served-yet':
            case 'contended':
            case 'key-reused':
              return sendUnfinished(request, reply, outcome)
          }
        },
      ),
  })
}

function presentPeople(record: PeopleRecord | null): object {
  return record ?? { people: [], updatedAt: null, updatedBy: null, revision: 0 }
}
