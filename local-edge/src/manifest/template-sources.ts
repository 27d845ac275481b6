export type EnvironmentValues = Readonly<Record<string, string | undefined>>;

/** A folder with a module.json. */
export interface ModuleSource {
  /** Its folder's name, as in `${MODULES.<name>}`. */
  readonly name: string;
  /** The folder, relative to the template, as in `${MODULEDIR<folder>}`. */
  readonly folder: string;
  /** The file, for findings. */
  readonly path: string;
  readonly moduleJsonText: string;
  /** Text of the `.env` beside it, when there is one. */
  readonly dotenvText?: string;
}
