/** What edgeHub understands a subscription as; everything else is granted and ignored. */
export type SubscriptionKind = 'methods' | 'desired' | 'twinResults' | 'inputs';

/** By the same tests as edgeHub: prefixes for methods and desired properties, the exact filter for twin replies. */
export function kindOf(filter: string): SubscriptionKind | undefined {
  if (filter.startsWith('$iothub/methods/POST/')) return 'methods';
  if (filter.startsWith('$iothub/twin/PATCH/properties/desired/')) return 'desired';
  if (filter === '$iothub/twin/res/#') return 'twinResults';
  if (/^devices\/.+\/modules\/.+\/#$/.test(filter)) return 'inputs';
  return undefined;
}

/** Topic filter matching [MQTT-4.7]: `+` is one level, `#` at the end is this level and all below. */
export function filterMatches(filter: string, topic: string): boolean {
  const wanted = filter.split('/');
  const given = topic.split('/');
  for (const [index, level] of wanted.entries()) {
    if (level === '#') return index === wanted.length - 1;
    if (index >= given.length || (level !== '+' && level !== given[index])) return false;
  }
  return wanted.length === given.length;
}
