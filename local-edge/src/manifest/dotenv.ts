// The rules of python-dotenv, which iotedgedev uses: `export` is allowed, single quotes know \\ and \' only, double quotes know
// the usual escapes and may span lines, an unquoted value ends at ` #`. `${NAME}` and `${NAME:-default}` are filled in from the
// surrounding environment and from the lines before; `$NAME` is not.
const line =
  /^[ \t]*(?:export[ \t]+)?(?:'([^']+)'|([^=#\s]+))[ \t]*(?:=[ \t]*(?:'((?:[^'\\]|\\[\s\S])*)'|"((?:[^"\\]|\\[\s\S])*)"|([^\r\n]*)))?/;

/** Reads the text of a `.env` file. Lines without `=` set nothing, as there. */
export function parseDotenv(
  text: string,
  surrounding: Readonly<Record<string, string | undefined>> = {},
): Record<string, string> {
  const values: Record<string, string> = {};
  let rest = text.replace(/^\uFEFF/, '').replaceAll('\r\n', '\n');
  while (rest !== '') {
    const match = /^[ \t]*(#|\n|$)/.test(rest) ? null : line.exec(rest);
    if (match !== null) {
      const name = match[1] ?? match[2] ?? '';
      const value = valueOf(match[3], match[4], match[5]);
      // The environment wins over the file, as it does with the tools.
      if (value !== undefined) values[name] = fillIn(value, { ...values, ...surrounding });
      rest = rest.slice(match[0].length);
    }
    const end = rest.indexOf('\n');
    rest = end === -1 ? '' : rest.slice(end + 1);
  }
  return values;
}

function valueOf(
  single: string | undefined,
  double: string | undefined,
  bare: string | undefined,
): string | undefined {
  if (single !== undefined) return single.replace(/\\([\\'])/g, '$1');
  if (double !== undefined)
    return double.replace(/\\([\\'"abfnrtv])/g, (_all, one: string) => escapes[one] ?? one);
  return bare?.replace(/\s+#.*$|^#.*$/, '').trimEnd();
}

const escapes: Readonly<Record<string, string>> = {
  a: '\x07',
  b: '\b',
  f: '\f',
  n: '\n',
  r: '\r',
  t: '\t',
  v: '\v',
};

function fillIn(value: string, known: Readonly<Record<string, string | undefined>>): string {
  return value.replace(
    /\$\{([^}:]*)(?::-([^}]*))?\}/g,
    (_all, name: string, fallback: string | undefined) =>
      (Object.hasOwn(known, name) ? known[name] : undefined) ?? fallback ?? '',
  );
}
