/** Where a command finds the admin port of a running proxy. */
import { type Command, Option } from 'commander'
import { ports } from '../../config/ports.ts'

export interface AdminPlace {
  readonly adminAddress: string
  readonly adminPort: string
}

export function withAdminPlace(command: Command): Command {
  return command
    .addOption(
      new Option('--admin-address <address>', 'where the admin port is')
        .env('OUTRIDER_ADMIN_ADDRESS')
        .default('127.0.0.1'),
    )
    .addOption(
      new Option('--admin-port <port>', 'admin port of the proxy')
        .env('OUTRIDER_ADMIN_PORT')
        .default(String(ports.admin)),
    )
}

/** `page` begins with a slash. */
export function adminUrl({ adminAddress, adminPort }: AdminPlace, page: string): string {
  const host = adminAddress.includes(':') ? `[${adminAddress}]` : adminAddress
  return `http://${host}:${adminPort}${page}`
}
