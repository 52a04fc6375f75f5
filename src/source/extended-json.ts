/**
 * A document as MongoDB Extended JSON, canonical form, on one line: every type of a value is told, and the fields stand
 * in the order of the bytes, which a JavaScript object would not keep for numeric names. Text that is not UTF-8 shows the
 * replacement character here; only the BSON has it as it was.
 */
import { Binary, Decimal128, Double, EJSON } from 'bson';
import { asBuffer, BsonType, type BsonValue, eachField, readInt32, textOf } from './bson-walk.ts';

/** One line, without its end. Throws RangeError for a type that BSON does not have. */
export function extendedJson(raw: Uint8Array): string {
  return documentText(raw, 0);
}

function documentText(raw: Uint8Array, start: number): string {
  const members: string[] = [];
  for (const field of eachField(raw, start)) members.push(`${JSON.stringify(field.name)}:${valueText(field)}`);
  return `{${members.join(',')}}`;
}

function arrayText(raw: Uint8Array, start: number): string {
  const items: string[] = [];
  for (const item of eachField(raw, start)) items.push(valueText(item));
  return `[${items.join(',')}]`;
}

function valueText(value: BsonValue): string {
  const { raw, type, start, end } = value;
  const buffer = asBuffer(raw);
  switch (type) {
    case BsonType.double:
      return EJSON.stringify(new Double(buffer.readDoubleLE(start)), { relaxed: false });
    case BsonType.string:
      return JSON.stringify(textOf(raw, start + 4, end - 1));
    case BsonType.object:
      return documentText(raw, start);
    case BsonType.array:
      return arrayText(raw, start);
    case BsonType.binary:
      return binaryText(raw, start, end);
    case BsonType.undefined:
      return '{"$undefined":true}';
    case BsonType.objectId:
      return objectIdText(buffer, start);
    case BsonType.boolean:
      return raw[start] === 1 ? 'true' : 'false';
    case BsonType.date:
      return `{"$date":{"$numberLong":"${buffer.readBigInt64LE(start)}"}}`;
    case BsonType.null:
      return 'null';
    case BsonType.regex: {
      const patternEnd = raw.indexOf(0, start);
      const pattern = textOf(raw, start, patternEnd);
      return tagged('$regularExpression', { pattern, options: textOf(raw, patternEnd + 1, end - 1) });
    }
    case BsonType.dbPointer: {
      const name = JSON.stringify(textOf(raw, start + 4, end - 13));
      return `{"$dbPointer":{"$ref":${name},"$id":${objectIdText(buffer, end - 12)}}}`;
    }
    case BsonType.code:
      return tagged('$code', textOf(raw, start + 4, end - 1));
    case BsonType.symbol:
      return tagged('$symbol', textOf(raw, start + 4, end - 1));
    case BsonType.codeWithScope: {
      const codeEnd = start + 8 + readInt32(raw, start + 4);
      const code = JSON.stringify(textOf(raw, start + 8, codeEnd - 1));
      return `{"$code":${code},"$scope":${documentText(raw, codeEnd)}}`;
    }
    case BsonType.int32:
      return `{"$numberInt":"${buffer.readInt32LE(start)}"}`;
    case BsonType.timestamp:
      return tagged('$timestamp', { t: buffer.readUInt32LE(start + 4), i: buffer.readUInt32LE(start) });
    case BsonType.int64:
      return `{"$numberLong":"${buffer.readBigInt64LE(start)}"}`;
    case BsonType.decimal128:
      return tagged('$numberDecimal', new Decimal128(raw.slice(start, end)).toString());
    case BsonType.minKey:
      return '{"$minKey":1}';
    case BsonType.maxKey:
      return '{"$maxKey":1}';
    default:
      throw new RangeError(`BSON type ${type} cannot be written as Extended JSON.`);
  }
}

function tagged(name: string, value: unknown): string {
  return JSON.stringify({ [name]: value });
}

function objectIdText(buffer: Buffer, start: number): string {
  return `{"$oid":"${buffer.toString('hex', start, start + 12)}"}`;
}

function binaryText(raw: Uint8Array, start: number, end: number): string {
  const subtype = raw[start + 4] ?? 0;
  // Subtype 2 carries its length a second time inside.
  const dataStart = subtype === Binary.SUBTYPE_BYTE_ARRAY ? start + 9 : start + 5;
  const base64 = asBuffer(raw).toString('base64', dataStart, end);
  return tagged('$binary', { base64, subType: subtype.toString(16).padStart(2, '0') });
}
