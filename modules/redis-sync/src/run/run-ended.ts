import { SuiteError } from '@iotedge-redis/common';

/** A bad file or a guard ended the run: it is over, and the same file would end in the same way. */
export class RunEnded extends SuiteError {
  /** The `code` of the reported property. */
  readonly outcome: string;

  constructor(outcome: string, message: string) {
    super('DATA_INVALID', message);
    this.outcome = outcome;
  }
}
