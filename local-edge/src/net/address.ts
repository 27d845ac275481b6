/** Names of hosts go into a certificate as DNS names, addresses as IP names. */
export function isAddress(name: string): boolean {
  return name.includes(':') || /^\d+(?:\.\d+){3}$/.test(name);
}
