import type { Field, Fields } from './settings.ts';

/** One setting as documentation shows it. */
export interface SettingRow {
  readonly env: string;
  readonly aliases: readonly string[];
  readonly twin: string | null;
  readonly type: string;
  readonly default: string;
  readonly unit: string;
  readonly description: string;
  readonly secret: boolean;
  readonly live: boolean;
}

function defaultText(field: Field<unknown>): string {
  const value = field.default;
  if (value === undefined) return '';
  if (Array.isArray(value)) return value.join(',');
  return typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean'
    ? String(value)
    : JSON.stringify(value);
}

export function settingRows(fields: Fields): readonly SettingRow[] {
  return Object.values(fields).map((field) => ({
    env: field.env[0] ?? '',
    aliases: field.env.slice(1),
    twin: field.twin,
    type: field.type,
    default: defaultText(field),
    unit: field.unit ?? '',
    description: field.description,
    secret: field.secret,
    live: field.live,
  }));
}

/** A Markdown table of the settings. */
export function settingsTable(fields: Fields): string {
  const cell = (text: string): string => text.replaceAll('|', '\\|').replaceAll('\n', ' ');
  const code = (text: string): string => (text === '' ? '' : `\`${cell(text)}\``);
  const rows = settingRows(fields).map((row) => {
    const notes = [
      row.description,
      row.aliases.length > 0 ? `Also: ${row.aliases.map(code).join(', ')}.` : '',
      row.secret ? `Secret; also read from the file named by ${code(`${row.env}_FILE`)}.` : '',
      row.live ? 'Taken over while running.' : '',
    ];
    const type = row.unit === '' ? row.type : `${row.type} (${row.unit})`;
    return `| ${code(row.env)} | ${code(row.twin ?? '')} | ${cell(type)} | ${code(row.default)} | ${cell(notes.filter((note) => note !== '').join(' '))} |`;
  });
  return [
    '| Environment | Twin | Form | Default | Meaning |',
    '| --- | --- | --- | --- | --- |',
    ...rows,
  ].join('\n');
}

/** The settings for a terminal. */
export function settingsHelp(fields: Fields): string {
  return settingRows(fields)
    .map((row) => {
      const twin = row.twin === null ? '' : `, twin ${row.twin}`;
      const fallback = row.default === '' ? '' : `; default ${row.default}`;
      const unit = row.unit === '' ? '' : ` (${row.unit})`;
      return `  ${row.env}${twin}\n      ${row.type}${unit}${fallback}. ${row.description}`;
    })
    .join('\n');
}
