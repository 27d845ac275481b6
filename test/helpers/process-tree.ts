import { readdirSync, readFileSync, readlinkSync } from 'node:fs';

/** A process and everything that descends from it. Reads /proc, so it needs Linux. */
export function treeOf(root: number): number[] {
  const parents = new Map<number, number>();
  for (const name of readdirSync('/proc')) {
    const parent = /^\d+$/.test(name) ? parentOf(Number(name)) : undefined;
    if (parent !== undefined) parents.set(Number(name), parent);
  }
  const tree = [root];
  // The list grows while it is walked: each one's children follow.
  for (const pid of tree) for (const [child, parent] of parents) if (parent === pid) tree.push(child);
  return tree;
}

export interface ListeningSocket {
  readonly address: string;
  readonly port: number;
  readonly loopback: boolean;
}

/** The TCP sockets on which these processes listen. */
export function listeningSockets(pids: readonly number[]): ListeningSocket[] {
  const own = new Set(pids.flatMap(socketsOf));
  return ['/proc/net/tcp', '/proc/net/tcp6'].flatMap((file) =>
    readFileSync(file, 'utf8')
      .split('\n')
      .slice(1)
      .flatMap((line) => {
        const [, local = '', , state, , , , , , inode = ''] = line.trim().split(/\s+/);
        const [address = '', port = ''] = local.split(':');
        // 0A is LISTEN. Addresses are words in the byte order of the machine: 0100007F is 127.0.0.1.
        if (state !== '0A' || !own.has(inode)) return [];
        // Java writes 127.0.0.1 as an address of IPv6.
        const loopback =
          /^(?:0{16}FFFF0{4})?[0-9A-F]{6}7F$/.test(address) || address === '00000000000000000000000001000000';
        return [{ address, port: parseInt(port, 16), loopback }];
      }),
  );
}

function parentOf(pid: number): number | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    const [state, parent] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return state === 'Z' ? undefined : Number(parent);
  } catch {
    // It has ended since the folder was read.
    return undefined;
  }
}

function socketsOf(pid: number): string[] {
  try {
    return readdirSync(`/proc/${pid}/fd`).flatMap((name) => inodeOf(`/proc/${pid}/fd/${name}`));
  } catch {
    return [];
  }
}

function inodeOf(descriptor: string): string[] {
  try {
    const inode = /^socket:\[(\d+)\]$/.exec(readlinkSync(descriptor))?.[1];
    return inode === undefined ? [] : [inode];
  } catch {
    return [];
  }
}
