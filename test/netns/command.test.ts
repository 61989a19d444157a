import { spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { requireRoot, requireTools } from '../support/netns.ts'
import { at, Pod } from './pod.ts'

t.test('the command applies and proves, checks, and takes away', async (t) => {
  if (!requireRoot(t) || !requireTools(t, 'iptables-nft', 'setpriv', 'nsenter')) return
  using pod = await Pod.open({ programs: false })
  const dry = pod.cli(['apply', '--dry-run'])
  t.match(dry, { status: 0, stdout: /iptables-nft-restore --noflush --wait 30\n\*nat/ })
  t.notMatch(pod.rules(), 'OUTRIDER', 'a dry run changes nothing')
  t.match(pod.cli(['check']), { status: 3, stdout: /ipv4 has no capture rules/ })

  const applied = pod.cli(['apply'])
  t.match(applied, { status: 0, stderr: '', stdout: /rules applied \(iptables-nft\)/ })
  for (const claim of [
    'application to 192.0.2.1:15100 reaches the outbound listener',
    'application to [2001:db8::1]:15100 reaches the outbound listener',
    'proxy to 192.0.2.1:15100 goes direct',
    `proxy calling its own workload to ${at.pod}:15100 reaches the inbound listener`,
    `proxy calling its own workload to [${at.pod6}]:15100 reaches the inbound listener`,
  ])
    t.match(applied.stdout, `proven: ${claim}\n`)
  t.match(pod.cli(['apply']), { status: 0, stdout: /in place already, nothing changed/ })
  t.match(pod.cli(['apply', '--dry-run']), { status: 0, stdout: /nothing to run/ })
  t.match(pod.cli(['check', '--verify']), { status: 0, stdout: /in sync.*\n.*proven/ })
  t.match(pod.cli(['check', '--proxy-uid', '1338']), {
    status: 3,
    stdout: /other options/,
  })

  await pod.startProxy()
  const busy = pod.cli(['apply', '--exclude-outbound-ports', '81'])
  t.match(busy, { status: 0, stderr: /not verified: port 15001 is in use/ }, 'beside the proxy')
  t.match(pod.cli(['undo', '--detach-only']), { status: 0, stdout: /detached/ })
  t.match(pod.cli(['undo']), { status: 0, stdout: /removed/ })
  t.match(pod.cli(['undo']), { status: 0, stdout: /no capture rules are here/ })
  t.notMatch(pod.rules(), 'OUTRIDER')
})

t.test('mode NONE takes away what an earlier mode put there', async (t) => {
  if (!requireRoot(t) || !requireTools(t, 'iptables-nft')) return
  using pod = await Pod.open({ programs: false })
  t.match(pod.cli(['apply', '--no-verify']), { status: 0 })
  const none = ['apply', '--interception-mode', 'NONE']
  t.match(pod.cli(none), { status: 0, stderr: '', stdout: /capture is off/ })
  t.notMatch(pod.rules(), 'OUTRIDER')
  t.match(pod.cli(none), { status: 0, stderr: '', stdout: /capture is off/ }, 'again')
})

t.test('--netns works in another namespace', async (t) => {
  if (!requireRoot(t) || !requireTools(t, 'iptables-nft', 'nsenter')) return
  using pod = await Pod.open({ programs: false })
  const main = join(import.meta.dirname, '../../proxy/main.ts')
  const args = [main, 'iptables', 'apply', '--no-verify', '--netns', pod.pod.name]
  const { status, stdout } = spawnSync(process.execPath, args, { encoding: 'utf8' })
  t.match({ status, stdout }, { status: 0, stdout: /applied/ })
  t.match(pod.rules(), 'OUTRIDER')
})

t.test(
  'rules that do not capture are taken back, with the earlier ones in their place',
  async (t) => {
    if (!requireRoot(t) || !requireTools(t, 'iptables-nft', 'setpriv')) return
    using pod = await Pod.open({ programs: false })
    pod.pod.must(['iptables-nft', '-t', 'nat', '-A', 'OUTPUT', '-d', '192.0.2.1', '-j', 'ACCEPT'])
    const before = pod.rules()
    const first = pod.cli(['apply'])
    t.match(first, { status: 3, stderr: /application to 192\.0\.2\.1:15100 .*: arrived nowhere/ })
    t.equal(pod.rules(), before, 'nothing was there')

    t.match(pod.cli(['apply', '--no-verify']), { status: 0 })
    const working = pod.rules()
    t.match(pod.cli(['apply', '--exclude-outbound-ports', '81']), { status: 3 })
    t.equal(pod.rules(), working, 'the earlier rules')
  },
)

t.test('what is missing is named with its cure', async (t) => {
  if (!requireRoot(t) || !requireTools(t, 'iptables-nft', 'iptables-legacy', 'setpriv')) return
  using pod = await Pod.open({ programs: false })
  const without = (name: string) => ['setpriv', `--bounding-set=-${name}`, '--inh-caps=-all']
  const [nft, legacy] = ['--backend=iptables-nft', '--backend=iptables-legacy']
  t.match(pod.cli(['apply'], without('net_admin')), {
    status: 2,
    stderr: /CAP_NET_ADMIN missing.*add NET_ADMIN to the init container/,
  })
  t.match(pod.cli(['apply', legacy], without('net_raw')), {
    status: 2,
    stderr: /CAP_NET_RAW missing/,
  })
  t.match(pod.cli(['apply', nft], without('net_raw')), { status: 0 }, 'nft needs no NET_RAW')
  t.match(pod.cli(['apply', '--proxy-uid', '0']), { status: 1, stderr: /--proxy-uid: 0 \(root\)/ })
  const user = pod.cli(['undo'], ['setpriv', '--reuid=1000', '--clear-groups'])
  t.match(user, { status: 2, stderr: /CAP_NET_ADMIN missing/ }, 'not root')
  t.match(pod.rules(), 'OUTRIDER')
  const noSetuid = pod.cli(['apply', '--exclude-outbound-ports', '81'], without('setuid'))
  t.match(noSetuid, { status: 0, stderr: /not verified as user.*SETUID/ })
})

t.test('a lock that stays held is told, after the time asked for', async (t) => {
  if (!requireRoot(t) || !requireTools(t, 'iptables-legacy', 'flock')) return
  using pod = await Pod.open({ programs: false })
  const lock = join(mkdtempSync(join(tmpdir(), 'outrider-lock-')), 'xtables.lock')
  const holder = pod.pod.spawn(['flock', lock, 'sh', '-c', 'echo held; sleep 60'], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  await once(holder.stdout!, 'data')
  const args = ['apply', '--backend', 'iptables-legacy', '--lock-wait', '1', '--no-verify']
  const refused = pod.cli(args, [], { XTABLES_LOCKFILE: lock })
  t.match(refused, {
    status: 4,
    stderr: /another program held the xtables lock for 1 s: try again/,
  })
  t.notMatch(pod.rules(), 'OUTRIDER', 'nothing was written')
})

t.test('a lock file that cannot be written is replaced', async (t) => {
  if (!requireRoot(t) || !requireTools(t, 'iptables-legacy')) return
  using pod = await Pod.open({ programs: false })
  const args = ['apply', '--backend', 'iptables-legacy', '--no-verify']
  const env = { XTABLES_LOCKFILE: '/proc/no-such-place/xtables.lock' }
  t.match(pod.cli(args, [], env), { status: 0, stderr: '', stdout: /applied/ })
})
