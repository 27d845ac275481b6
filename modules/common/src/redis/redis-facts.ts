/** What a module wants to know about the server it talks to; fields are absent when the ACL hides INFO. */
export interface RedisFacts {
  /** `redis` or `valkey`. */
  readonly product?: string;
  readonly version?: string;
  readonly role?: string;
  readonly evictionPolicy?: string;
  readonly isAofEnabled?: boolean;
}

export interface RedisInfo {
  readonly facts: RedisFacts;
  readonly isLoading: boolean;
  readonly loadingPercent?: string;
}

/** Reads the text of INFO. */
export function parseInfo(text: string): RedisInfo {
  const fields = new Map<string, string>();
  for (const line of text.split(/\r?\n/)) {
    const colon = line.indexOf(':');
    if (colon > 0 && !line.startsWith('#')) fields.set(line.slice(0, colon), line.slice(colon + 1));
  }
  const valkey = fields.get('valkey_version');
  const version = valkey ?? fields.get('redis_version');
  const role = fields.get('role');
  const policy = fields.get('maxmemory_policy');
  const aof = fields.get('aof_enabled');
  const percent = fields.get('loading_loaded_perc');
  return {
    facts: {
      product: valkey === undefined ? 'redis' : 'valkey',
      ...(version === undefined ? {} : { version }),
      ...(role === undefined ? {} : { role }),
      ...(policy === undefined ? {} : { evictionPolicy: policy }),
      ...(aof === undefined ? {} : { isAofEnabled: aof === '1' }),
    },
    // async_loading answers commands from the old data set, so only this one keeps callers out.
    isLoading: fields.get('loading') === '1',
    ...(percent === undefined ? {} : { loadingPercent: percent }),
  };
}

/** Settings of the server by which data can get lost although every write was confirmed. */
export function durabilityWarnings(facts: RedisFacts): string[] {
  const warnings: string[] = [];
  if (facts.evictionPolicy !== undefined && facts.evictionPolicy !== 'noeviction') {
    warnings.push(
      `Redis may evict keys when its memory is full (maxmemory-policy ${facts.evictionPolicy}); set it to noeviction`,
    );
  }
  if (facts.isAofEnabled === false) {
    warnings.push(
      'Redis keeps no append-only file (appendonly no); a restart may lose confirmed writes; set appendonly yes',
    );
  }
  return warnings;
}

/** True when the version is at least major.minor; false when it is not known. */
export function hasVersion(facts: RedisFacts | undefined, major: number, minor: number): boolean {
  const [haveMajor = -1, haveMinor = 0] = (facts?.version ?? '').split('.').map(Number);
  return haveMajor > major || (haveMajor === major && haveMinor >= minor);
}
