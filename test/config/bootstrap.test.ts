import { Command } from 'commander'
import t from 'tap'
import { addRunOptions, type Bootstrap, bootstrapFrom } from '../../config/bootstrap.ts'
import { cgroupCpus, parseLabelsFile } from '../../config/bootstrap-machine.ts'
import {
  flagOf,
  type RunSetting,
  runSettings,
  variableOf,
} from '../../config/bootstrap-settings.ts'

type Files = Readonly<Record<string, string>>

function machine(files: Files = {}) {
  return { readText: (path: string) => files[path], addresses: () => ['192.0.2.1'], cpus: 8 }
}

function parse(line: string): Record<string, unknown> {
  const command = addRunOptions(new Command('run').exitOverride())
  return command.parse(['node', 'run', ...line.split(' ').filter((word) => word !== '')]).opts()
}

function start(line: string, env: Record<string, string> = {}, files: Files = {}): Bootstrap {
  const result = bootstrapFrom(parse(`--config c ${line}`), env, machine(files))
  if (result.bootstrap === undefined) throw new TypeError(result.problems.join('\n'))
  return result.bootstrap
}

function complaints(line: string, env: Record<string, string> = {}): readonly string[] {
  return bootstrapFrom(parse(`--config c ${line}`), env, machine()).problems
}

t.test('without a word the defaults are those of an Istio sidecar', async (t) => {
  t.same(start(''), {
    workload: {
      name: 'workload',
      namespace: 'default',
      serviceAccount: 'default',
      labels: {},
      addresses: ['192.0.2.1'],
    },
    configPaths: ['c'],
    domain: 'cluster.local',
    workers: 2,
    outboundPort: 15001,
    inboundPort: 15006,
    adminAddress: '127.0.0.1',
    adminPort: 15000,
    healthPort: 15021,
    metricsPort: 15090,
    accessLog: undefined,
    logLevel: 'info',
    explicit: false,
    binds: [],
    app: undefined,
    settleMs: 3000,
    graceMs: 20000,
  })
})

t.test('every flag of the documented command line is understood', async (t) => {
  const line =
    '--config d --namespace shop --locality r1/z1 --labels app=productpage,version=v1 --service-account pp --ip 10.0.0.7' +
    ' --workers 3 --admin-port 1 --outbound-port 2 --inbound-port 3 --health-port 4 --metrics-port 5' +
    ' --admin-address 0.0.0.0 --access-log off --log-level DEBUG --explicit --name pp-1 --domain mesh.test' +
    ' --bind reviews:9080=127.0.0.1:19080 --bind db.prod:5432=[::1]:15432 --bind a:1=2 --app 127.0.0.1:8080' +
    ' --settle-time 500ms --drain-time 1m'
  t.same(start(line), {
    workload: {
      name: 'pp-1',
      namespace: 'shop',
      serviceAccount: 'pp',
      labels: { app: 'productpage', version: 'v1' },
      addresses: ['10.0.0.7'],
      locality: 'r1/z1',
    },
    configPaths: ['c', 'd'],
    domain: 'mesh.test',
    workers: 3,
    outboundPort: 2,
    inboundPort: 3,
    adminAddress: '0.0.0.0',
    adminPort: 1,
    healthPort: 4,
    metricsPort: 5,
    accessLog: 'off',
    logLevel: 'debug',
    explicit: true,
    binds: [
      { service: 'reviews', port: 9080, listen: { address: '127.0.0.1', port: 19080 } },
      { service: 'db.prod', port: 5432, listen: { address: '::1', port: 15432 } },
      { service: 'a', port: 1, listen: { address: '127.0.0.1', port: 2 } },
    ],
    app: { address: '127.0.0.1', port: 8080 },
    settleMs: 500,
    graceMs: 60000,
  })
})

t.test('every setting has a flag and an OUTRIDER_ variable of the same name', async (t) => {
  t.equal(variableOf('adminPort'), 'OUTRIDER_ADMIN_PORT')
  const samples: Partial<Record<RunSetting, string>> = {
    config: 'x,y',
    labels: 'app=a',
    ip: '10.0.0.1,10.0.0.2',
    workers: '1',
    explicit: 'true',
    bind: 'a:1=127.0.0.1:2,b:1=127.0.0.1:3',
    app: '127.0.0.1:1',
    adminAddress: '::1',
    logLevel: 'warn',
    settleTime: '1s',
    drainTime: '2s',
  }
  const env: Record<string, string> = {}
  for (const [index, name] of (Object.keys(runSettings) as RunSetting[]).entries())
    env[variableOf(name)] = samples[name] ?? String(2000 + index)
  const { bootstrap, problems } = bootstrapFrom({}, env, machine())
  t.same(problems, [])
  t.same(bootstrap?.configPaths, ['x', 'y'])
  t.same(bootstrap?.workload.addresses, ['10.0.0.1', '10.0.0.2'])
  t.equal(bootstrap?.binds.length, 2)
  for (const name of Object.keys(runSettings) as RunSetting[])
    t.match(flagOf(name), /^--[a-z-]+$/, `${name} has a long flag`)
})

t.test("Istio's own environment is understood", async (t) => {
  const env = {
    POD_NAMESPACE: 'prod',
    POD_NAME: 'reviews-1',
    INSTANCE_IP: '10.0.0.5',
    INSTANCE_IPS: 'fd00:0::5,10.0.0.5',
    SERVICE_ACCOUNT: 'bookinfo-reviews',
    ISTIO_METAJSON_LABELS: '{"app":"reviews","version":"v2"}',
    ISTIO_META_ENVOY_PROMETHEUS_PORT: '25090',
    TERMINATION_DRAIN_DURATION_SECONDS: '7',
  }
  const files = { '/etc/istio/pod/labels': 'app="old"\ntier="back \\"end\\""\n' }
  const { workload, metricsPort, graceMs } = start('', env, files)
  t.same(workload, {
    name: 'reviews-1',
    namespace: 'prod',
    serviceAccount: 'bookinfo-reviews',
    labels: { app: 'reviews', tier: 'back "end"', version: 'v2' },
    addresses: ['10.0.0.5', 'fd00::5'],
  })
  t.equal(metricsPort, 25090)
  t.equal(graceMs, 7000)
})

t.test(
  'a flag wins over OUTRIDER_, OUTRIDER_ over Istio, and an empty variable is none',
  async (t) => {
    const istio = { POD_NAMESPACE: 'from-istio', ISTIO_METAJSON_LABELS: '{"a":"istio"}' }
    const own = { ...istio, OUTRIDER_NAMESPACE: 'from-outrider', OUTRIDER_LABELS: 'a=outrider' }
    t.equal(start('', istio).workload.namespace, 'from-istio')
    t.equal(start('', own).workload.namespace, 'from-outrider')
    t.equal(start('--namespace from-flag', own).workload.namespace, 'from-flag')
    t.same(start('', own).workload.labels, { a: 'outrider' })
    t.same(start('--labels b=flag', own).workload.labels, { b: 'flag' }, 'labels are not mixed')
    t.equal(start('', { POD_NAMESPACE: ' ' }).workload.namespace, 'default')
  },
)

t.test('the name of the workload is its app label when nobody gives one', async (t) => {
  t.equal(start('--labels app=ratings').workload.name, 'ratings')
})

t.test('an IPv4-mapped address is the IPv4 address', async (t) => {
  t.same(start('--ip ::ffff:10.0.0.9').workload.addresses, ['10.0.0.9'])
})

t.test("a namespace's domain is reduced to the mesh's", async (t) => {
  t.equal(start('--domain default.svc.cluster.local').domain, 'cluster.local')
})

t.test('workers follow the CPUs of the cgroup, at most two', async (t) => {
  t.equal(start('', {}, { '/sys/fs/cgroup/cpu.max': '50000 100000\n' }).workers, 1)
  t.equal(start('', {}, { '/sys/fs/cgroup/cpu.max': '400000 100000\n' }).workers, 2)
})

t.test('CPUs of a cgroup', async (t) => {
  const cases: Array<[string, Files, number]> = [
    ['no limit', { '/sys/fs/cgroup/cpu.max': 'max 100000' }, 8],
    ['one and a half are two', { '/sys/fs/cgroup/cpu.max': '150000 100000' }, 2],
    ['more than exist', { '/sys/fs/cgroup/cpu.max': '9900000 100000' }, 8],
    [
      'the tightest group on the way up counts',
      {
        '/proc/self/cgroup': '0::/kube/pod\n',
        '/sys/fs/cgroup/kube/pod/cpu.max': 'max 100000',
        '/sys/fs/cgroup/kube/cpu.max': '300000 100000',
      },
      3,
    ],
    [
      'cgroup v1',
      {
        '/sys/fs/cgroup/cpu/cpu.cfs_quota_us': '200000\n',
        '/sys/fs/cgroup/cpu/cpu.cfs_period_us': '100000\n',
      },
      2,
    ],
    [
      'cgroup v1 without limit',
      {
        '/sys/fs/cgroup/cpu/cpu.cfs_quota_us': '-1',
        '/sys/fs/cgroup/cpu/cpu.cfs_period_us': '100000',
      },
      8,
    ],
    ['no cgroup at all', {}, 8],
  ]
  for (const [name, files, expected] of cases)
    t.equal(
      cgroupCpus((path) => files[path], 8),
      expected,
      name,
    )
})

t.test("the downward API's label file: quotes, equal signs, empty lines", async (t) => {
  t.same(parseLabelsFile('a="1"\n\nb="x=y"\nc=plain\nnonsense\nd="with\\ttab"\n'), {
    a: '1',
    b: 'x=y',
    c: 'plain',
    d: 'with\ttab',
  })
})

t.test('a wrong setting is told with its name, its value and the cure', async (t) => {
  const cases: Array<[string, RegExp]> = [
    ['--workers many', /^--workers "many" .* whole number from 1 to 64/],
    ['--workers 0', /^--workers "0"/],
    ['--admin-port 70000', /^--admin-port "70000" is not a port: .* 0 to 65535/],
    ['--admin-port 15001', /^--admin-port "15001" is the port of --outbound-port too/],
    ['--admin-address nowhere', /^--admin-address "nowhere" is not an IP address/],
    ['--ip 10.0.0', /^--ip "10\.0\.0" is not an IP address/],
    ['--namespace Big_One', /^--namespace "Big_One" is not a namespace/],
    ['--labels app', /^--labels "app" is not a label: write name=value/],
    ['--log-level infos', /^--log-level "infos" is not a log level\. Did you mean "info"/],
    ['--drain-time 5', /^--drain-time "5" is not a duration/],
    ['--explicit --bind reviews', /^--bind "reviews" is not a binding: write reviews:9080=/],
    ['--explicit --bind r:1=host:2', /^--bind "r:1=host:2" is not a binding/],
    ['--explicit --bind a:1=2 --bind b:1=2', /^--bind "b:1=2" opens the port of another/],
    ['--bind a:1=2', /^--bind opens ports for explicit mode only: add --explicit/],
    ['--app 127.0.0.1:1', /^--app is for explicit mode only/],
    ['--explicit --app 8080', /^--app "8080" is not an address with a port/],
  ]
  for (const [line, expected] of cases) {
    const told = complaints(line)
    t.equal(told.length, 1, `${line}: one sentence`)
    t.match(told[0], expected, line)
  }
})

t.test('a wrong variable is told by its own name', async (t) => {
  t.match(complaints('', { OUTRIDER_WORKERS: 'x' })[0], /^OUTRIDER_WORKERS "x"/)
  t.match(complaints('', { INSTANCE_IP: 'x' })[0], /^INSTANCE_IP "x"/)
  t.match(
    complaints('', { ISTIO_METAJSON_LABELS: '[1]' })[0],
    /^ISTIO_METAJSON_LABELS "\[1\]" is not/,
  )
  t.match(
    complaints('', { OUTRIDER_EXPLICIT: 'maybe' })[0],
    /^OUTRIDER_EXPLICIT "maybe" is neither/,
  )
})

t.test('all wrong settings are told at once', async (t) => {
  t.equal(complaints('--workers x --admin-port y --ip z').length, 3)
})

t.test('without configuration the cure is told', async (t) => {
  const { problems } = bootstrapFrom({}, {}, machine())
  t.same(problems, ['there is no configuration: give --config DIR, or set OUTRIDER_CONFIG'])
})

t.test('a locality is a region, with zone and subzone or without', async (t) => {
  t.same(complaints('--locality r1/z1/s1'), [])
  t.same(complaints('--locality r1'), [])
  for (const text of ['r1/*', 'r1//s1', 'a/b/c/d', '/z1'])
    t.match(complaints(`--locality ${text}`), [/is not a locality: write region/], text)
})
