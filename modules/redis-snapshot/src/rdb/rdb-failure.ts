import { SuiteError } from '@iotedge-redis/common';

/** The bytes are no RDB that this module can use; `offset` is where that shows. */
export class RdbFailure extends SuiteError {
  readonly offset: number;

  constructor(offset: number, problem: string) {
    super('DATA_INVALID', `reading the RDB: ${problem}, at byte ${offset}`);
    this.name = 'RdbFailure';
    this.offset = offset;
  }
}
