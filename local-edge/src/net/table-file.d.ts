/** `name:port` → loopback port; `name:*` → 0 for a name that exists, so that its other ports refuse. */
export type NetTable = Record<string, number>;
/** Reads the table; a file that is not there is an empty one. */
export declare function readTable(file: string): NetTable;
/** Applies `change` to the table, under its lock, and answers the new one. */
export declare function updateTable(file: string, change: (table: NetTable) => void): NetTable;
/** A reader that parses the file only when it has changed. */
export declare function tableReader(file: string): () => NetTable;
