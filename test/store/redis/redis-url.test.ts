// Which servers a URL names, and what is said of one that names none.
import t from 'tap'
import { parseRedisUrl } from '../../../src/store/redis/redis-url.ts'

const nobody = { username: null, password: null, tls: false }

const FORMS: Readonly<Record<string, object>> = {
  'redis://cache.example': { kind: 'single', address: { host: 'cache.example', port: 6379 }, db: 0, ...nobody },
  'redis://10.0.0.7:7000/3': { kind: 'single', address: { host: '10.0.0.7', port: 7000 }, db: 3, ...nobody },
  'redis://[2001:db8::7]:7000/': { kind: 'single', address: { host: '2001:db8::7', port: 7000 }, db: 0, ...nobody },
  'rediss://ann:p%40ss%3Aw%2Ford%25@cache.example:6380': {
    kind: 'single',
    address: { host: 'cache.example', port: 6380 },
    db: 0,
    username: 'ann',
    password: 'p@ss:w/ord%',
    tls: true,
  },
  'redis://:only-a-password@h': {
    kind: 'single',
    address: { host: 'h', port: 6379 },
    db: 0,
    ...nobody,
    password: 'only-a-password',
  },
  'redis+sentinel://a:1,b,c:3/main': {
    kind: 'sentinel',
    sentinels: [
      { host: 'a', port: 1 },
      { host: 'b', port: 26379 },
      { host: 'c', port: 3 },
    ],
    name: 'main',
    db: 0,
    ...nobody,
  },
  'rediss+sentinel://ann:secret@a/main/2': {
    kind: 'sentinel',
    sentinels: [{ host: 'a', port: 26379 }],
    name: 'main',
    db: 2,
    username: 'ann',
    password: 'secret',
    tls: true,
  },
  'redis+cluster://a,b:7001': {
    kind: 'cluster',
    nodes: [
      { host: 'a', port: 6379 },
      { host: 'b', port: 7001 },
    ],
    ...nobody,
  },
  'rediss+cluster://:secret@a/': {
    kind: 'cluster',
    nodes: [{ host: 'a', port: 6379 }],
    ...nobody,
    password: 'secret',
    tls: true,
  },
}

for (const [url, value] of Object.entries(FORMS)) {
  t.test(`${url} is understood`, async (t) => {
    t.same(parseRedisUrl(url), { outcome: 'parsed', value })
  })
}

const MISTAKES: Readonly<Record<string, RegExp>> = {
  '': /must be like redis:/,
  'cache.example:6379': /must be like redis:/,
  'http://:hunter2@cache.example': /must be like redis:/,
  'redis+pubsub://:hunter2@h': /must be like redis:/,
  'redis://:hunter2@': /must be like redis:/,
  'redis://:hunter2@h/0?tls=1': /must be like redis:/,
  'redis://:hunter2@h:0': /host or port that is none/,
  'redis://:hunter2@h:65536': /host or port that is none/,
  'redis://:hunter2@h:port': /host or port that is none/,
  'redis://:hunter2@a b': /host or port that is none/,
  'redis+cluster://:hunter2@a,,b': /host or port that is none/,
  'redis://:hunter2@a,b': /names several servers/,
  'redis://:hunter2@h/16': /database that is none/,
  'redis://:hunter2@h/main': /database that is none/,
  'redis+sentinel://:hunter2@a,b': /what the Sentinels call the primary/,
  'redis+sentinel://:hunter2@a/main/x': /database that is none/,
  'redis+sentinel://:hunter2@a/main/1/2': /database that is none/,
  'redis+cluster://:hunter2@a/1': /a Cluster has only one/,
  'redis://:hunter2%zz@h': /not percent-encoded/,
  [`redis+cluster://:hunter2@${'h,'.repeat(20)}h`]: /more than 20/,
}

for (const [url, message] of Object.entries(MISTAKES)) {
  t.test(`${url} is refused with what is wrong, and without the password`, async (t) => {
    const read = parseRedisUrl(url)
    t.match(read, { outcome: 'unparsed', message })
    t.notMatch(JSON.stringify(read), /hunter2/)
  })
}
